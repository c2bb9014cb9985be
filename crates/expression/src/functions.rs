//! The functions of the language: which of the library's there are, and why the others are not.
//!
//! A function is admitted by name, never by default, so that a newer library brings nothing in that was not looked at.
//! What is admitted gives the same result for the same message at any time on any machine, takes time and memory
//! linear in what it is given, and nests its result no deeper than its arguments. It touches no clock, chance,
//! network, file, environment or log.

use vrl::{compiler::Function, stdlib};

/// The functions that are there, once for all texts of a configuration.
pub fn admitted() -> Vec<Box<dyn Function>> {
    let mut functions = texts();
    functions.append(&mut collections());
    functions.append(&mut types_and_numbers());
    functions.append(&mut codecs());
    functions
}

macro_rules! list {
    ($($name:ident),* $(,)?) => { vec![$(Box::new(stdlib::$name) as Box<dyn Function>),*] };
}

fn texts() -> Vec<Box<dyn Function>> {
    list![
        BaseName,
        Camelcase,
        Contains,
        ContainsAll,
        DirName,
        Downcase,
        EndsWith,
        Find,
        FormatInt,
        FormatNumber,
        Join,
        Kebabcase,
        Match,
        MatchAny,
        ParseRegex,
        ParseRegexAll,
        Pascalcase,
        Redact,
        Replace,
        ReplaceWith,
        ScreamingSnakecase,
        ShannonEntropy,
        Sieve,
        Slice,
        Snakecase,
        Split,
        SplitPath,
        StartsWith,
        StripAnsiEscapeCodes,
        StripWhitespace,
        Strlen,
        Truncate,
        Upcase,
    ]
}

fn collections() -> Vec<Box<dyn Function>> {
    list![
        Append,
        Chunks,
        Compact,
        Del,
        Exists,
        Filter,
        Flatten,
        ForEach,
        FromEntries,
        Get,
        Includes,
        IsEmpty,
        Keys,
        Length,
        MapKeys,
        MapValues,
        MatchArray,
        Merge,
        ObjectFromArray,
        Pop,
        Push,
        Range,
        Remove,
        Tally,
        TallyValue,
        ToEntries,
        Unique,
        Unnest,
        Values,
        Zip,
    ]
}

fn types_and_numbers() -> Vec<Box<dyn Function>> {
    list![
        Abs,
        Array,
        Assert,
        AssertEq,
        Boolean,
        Ceil,
        Float,
        Floor,
        FormatTimestamp,
        FromUnixTimestamp,
        Haversine,
        Integer,
        IpAton,
        IpCidrContains,
        IpNtoa,
        IpNtop,
        IpPton,
        IpSubnet,
        IpToIpv6,
        Ipv6ToIpV4,
        IsArray,
        IsBoolean,
        IsFloat,
        IsInteger,
        IsIpv4,
        IsIpv6,
        IsJson,
        IsNull,
        IsNullish,
        IsObject,
        IsRegex,
        IsString,
        IsTimestamp,
        Mod,
        Object,
        ParseBytes,
        ParseDuration,
        ParseFloat,
        ParseInt,
        ParseTimestamp,
        Round,
        String,
        Timestamp,
        ToBool,
        ToFloat,
        ToInt,
        ToString,
        ToUnixTimestamp,
    ]
}

fn codecs() -> Vec<Box<dyn Function>> {
    list![
        DecodeBase16,
        DecodeBase64,
        DecodeCharset,
        DecodeMimeQ,
        DecodePercent,
        DecodePunycode,
        EncodeBase16,
        EncodeBase64,
        EncodeCharset,
        EncodeCsv,
        EncodeJson,
        EncodeKeyValue,
        EncodeLogfmt,
        EncodePercent,
        EncodePunycode,
        ParseCsv,
        ParseJson,
        ParseKeyValue,
        ParseLogFmt,
        ParseQueryString,
        ParseTokens,
        ParseUrl,
    ]
}

/// Why a function of the library is not there, and what to write instead.
pub fn why_missing(name: &str) -> Option<&'static str> {
    let reason = match name {
        "now" | "get_timezone_name" => {
            "repeating a step must give the same result, so there is no clock: use `%time`, or stamp the message at its \
             source"
        }
        "uuid_v4"
        | "uuid_v7"
        | "uuid_from_friendly_id"
        | "random_bool"
        | "random_bytes"
        | "random_float"
        | "random_int" => "repeating a step must give the same result, so there is no chance: use `%id`",
        "log" => "a step has no effect but on the message: write what is of interest into a header or field",
        "get_env_var" | "get_hostname" | "get_secret" => {
            "expressions do not see the environment: use `${env:NAME}` in routes.yaml, outside of the expression"
        }
        "dns_lookup" | "reverse_dns" | "http_request" => "expressions do not use the network",
        "set" | "unflatten" | "parse_yaml" | "parse_ruby_hash" | "parse_cbor" | "parse_proto" => {
            "a message could make it nest without end or grow without bound"
        }
        "parse_xml" => "use the step `decode: xml`",
        "decode_gzip" | "decode_zlib" | "decode_zstd" | "decode_snappy" | "decode_lz4" => {
            "a message could make it grow without bound"
        }
        "to_regex" | "parse_grok" | "parse_groks" | "match_datadog_query" => {
            "patterns are fixed and take linear time: write one as r'…' for `parse_regex` or `match`"
        }
        "parse_syslog"
        | "parse_klog"
        | "parse_linux_authorization"
        | "parse_apache_log"
        | "parse_common_log"
        | "parse_nginx_log" => "it depends on the present year or the machine's time zone: use `parse_regex`",
        _ => return None,
    };
    Some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_is_both_there_and_missing() {
        let there: Vec<_> = admitted().iter().map(|function| function.identifier()).collect();
        for name in &there {
            assert_eq!(why_missing(name), None, "{name}");
            assert_eq!(there.iter().filter(|other| *other == name).count(), 1, "{name} is listed twice");
        }
        for name in ["now", "uuid_v4", "random_int", "log", "get_env_var", "dns_lookup", "set"] {
            assert!(!there.contains(&name) && why_missing(name).is_some(), "{name}");
        }
    }
}
