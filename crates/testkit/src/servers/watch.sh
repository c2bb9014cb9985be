# Runs a server in a session of its own and ends with its exit status. Whoever started us holds the other end of our
# stdin: when that closes, the starter has ended, however it ended (return, panic, SIGKILL), and the server with all its
# processes is killed and its folder removed. Arguments: the folder, then the server's command.
folder=$1
shift
exec 3<&0
setsid "$@" </dev/null 3<&- >>"$folder/log" 2>&1 &
server=$!
echo "$server"
(
    read -r nothing <&3
    trap '' TERM
    kill -s KILL -- "-$server"
    rm -rf -- "$folder"
    # What was being written at that moment may have come back.
    sleep 0.2
    rm -rf -- "$folder"
) >/dev/null 2>&1 &
reader=$!
wait "$server"
status=$?
kill -s TERM "$reader" 2>/dev/null
exit "$status"
