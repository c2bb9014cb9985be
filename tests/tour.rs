//! The tour of README.md, as a reader types it: each command runs against the real binary, one shell from the first to
//! the last, and prints what README.md says it prints.
//!
//! Between `<!-- tour -->` and `<!-- end of tour -->` every `sh` block is typed; a `text` block behind it is what it
//! prints. Ids, times and ages differ from day to day and are not compared. `CROSSDOCK_UPDATE=1 cargo test --test tour`
//! writes the `text` blocks anew; look at the difference before you commit it.

#[cfg(test)]
mod tour {
    use std::{
        fs,
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        path::{Path, PathBuf},
        process::{Child, Command, Stdio},
    };

    const BEGIN: &str = "<!-- tour -->";
    const END: &str = "<!-- end of tour -->";
    /// What the shell prints behind each block.
    const MARK: &str = "@@@ end of block";

    struct Step {
        commands: String,
        printed: Option<String>,
    }

    #[test]
    fn every_command_works_as_printed() {
        let readme = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let text = fs::read_to_string(&readme).unwrap();
        let (before, rest) = text.split_once(BEGIN).expect("README.md has a tour");
        let (tour, after) = rest.split_once(END).expect("the tour has an end");
        let steps = steps(tour);
        assert!(steps.len() >= 8, "the tour has {} steps", steps.len());
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports::free();
        let mut shell = Shell::open(folder.path());
        let mut real = tour.to_owned();
        for step in &steps {
            let printed = ports.to_readme(&shell.type_in(&ports.to_test(&step.commands)));
            let Some(expected) = &step.printed else {
                assert!(!printed.contains("error"), "{}\nprints\n{printed}", step.commands);
                continue;
            };
            if std::env::var_os("CROSSDOCK_UPDATE").is_some() {
                let shown = if tidy(expected) == tidy(&printed) { expected } else { &printed };
                let block = |printed: &str| format!("{}```\n\n```text\n{printed}```", step.commands);
                real = real.replacen(&block(expected), &block(shown), 1);
            } else {
                assert_eq!(tidy(&printed), tidy(expected), "{}\nprints\n{printed}", step.commands);
            }
        }
        if std::env::var_os("CROSSDOCK_UPDATE").is_some() {
            fs::write(&readme, format!("{before}{BEGIN}{real}{END}{after}")).unwrap();
        }
    }

    fn steps(tour: &str) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for (index, part) in tour.split("```").enumerate() {
            if index % 2 == 0 {
                continue;
            }
            let (kind, body) = part.split_once('\n').unwrap();
            match kind {
                "sh" => steps.push(Step { commands: body.to_owned(), printed: None }),
                "text" => {
                    steps.last_mut().expect("a `text` block stands behind its commands").printed = Some(body.to_owned())
                }
                other => panic!("a block of `{other}` in the tour: write `sh` or `text`"),
            }
        }
        steps
    }

    /// What is left when everything that differs from day to day is gone.
    fn tidy(text: &str) -> String {
        let words = text.lines().map(|line| {
            let words = line.split_whitespace().map(|word| {
                let (inner, open) = (word.trim_matches(|c: char| "\",{}:;".contains(c)), word);
                if is_id(inner) || is_time(inner) || is_age(inner) {
                    open.replace(inner, "…")
                } else {
                    with_id_gone(open)
                }
            });
            words.collect::<Vec<_>>().join(" ").replace("… …", "…")
        });
        words.collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    /// `{"id":"…"}` is one word with an id in it.
    fn with_id_gone(word: &str) -> String {
        let parts = word.split('"').map(|part| if is_id(part) || is_time(part) { "…" } else { part });
        parts.collect::<Vec<_>>().join("\"")
    }

    fn is_id(word: &str) -> bool {
        word.len() == 36 && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
    }

    fn is_time(word: &str) -> bool {
        word.len() >= 20 && word.ends_with('Z') && word.starts_with("20") && word.contains('T')
    }

    fn is_age(word: &str) -> bool {
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = word.get(digits.len()..).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && matches!(unit, "ms" | "s" | "m")
    }

    /// README.md's ports, and free ones in their place.
    struct Ports([(&'static str, String); 2]);

    impl Ports {
        fn free() -> Self {
            let (one, two) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
            let port = |listener: &TcpListener| format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
            Self([("127.0.0.1:8080", port(&one)), ("127.0.0.1:8090", port(&two))])
        }

        fn to_test(&self, text: &str) -> String {
            self.0.iter().fold(text.to_owned(), |text, (readme, test)| text.replace(readme, test))
        }

        fn to_readme(&self, text: &str) -> String {
            self.0.iter().fold(text.to_owned(), |text, (readme, test)| text.replace(test.as_str(), readme))
        }
    }

    /// A shell in a folder, in whose path the program is.
    struct Shell {
        child: Child,
        printed: BufReader<std::process::ChildStdout>,
    }

    impl Shell {
        fn open(folder: &Path) -> Self {
            let program = Path::new(env!("CARGO_BIN_EXE_crossdock")).parent().unwrap().display();
            let path = format!("{program}:{}", std::env::var("PATH").unwrap());
            let mut child = Command::new("bash")
                .args(["-c", "exec bash -s 2>&1"])
                .current_dir(folder)
                .env("PATH", path)
                .env("NO_COLOR", "1")
                .env_remove("CROSSDOCK_LOG")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let printed = BufReader::new(child.stdout.take().unwrap());
            let mut shell = Self { child, printed };
            // Whatever a failing step leaves behind ends with the shell; nothing in the tour takes a minute.
            shell.type_in("trap 'kill -9 $(jobs -p) 2>/dev/null' EXIT; TMOUT=60");
            shell
        }

        fn type_in(&mut self, commands: &str) -> String {
            let stdin = self.child.stdin.as_mut().unwrap();
            stdin.write_all(format!("{commands}\necho; echo '{MARK}'\n").as_bytes()).unwrap();
            let mut printed = String::new();
            loop {
                let mut line = String::new();
                assert!(self.printed.read_line(&mut line).unwrap() > 0, "the shell ended in\n{commands}\n{printed}");
                if line.trim_end() == MARK {
                    // Where the commands end with a line break, the one before the mark is ours.
                    return if printed.ends_with("\n\n") {
                        printed.strip_suffix('\n').unwrap().to_owned()
                    } else {
                        printed
                    };
                }
                printed += &line;
            }
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            drop(self.child.stdin.take());
            let _ = self.child.wait();
        }
    }
}
