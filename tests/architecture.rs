//! The shape of the house, checked: arrows point down, files stay small and say what they are for, and
//! the proxy framework, the HTTP client and the Redis client stay in their rooms.
//!
//! That only `clock` reads the time and only `entropy` draws randomness is clippy's to check
//! (`clippy.toml`).

#![allow(clippy::unwrap_used, reason = "a test that cannot read the source has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each room and the rooms it may use. `docs/architecture.md` draws the same; a new arrow belongs in both.
const ROOMS: &[(&str, &[&str])] = &[
    // Vocabulary.
    ("secret", &[]),
    ("clock", &[]),
    ("crypto", &[]),
    ("entropy", &[]),
    ("identity", &[]),
    ("web", &[]),
    ("telemetry", &["clock", "entropy"]),
    ("tls", &["clock", "web"]),
    // Protocol cores.
    ("acme", &["clock", "crypto", "entropy", "tls", "web"]),
    ("apple", &["secret", "clock", "entropy", "identity", "web", "telemetry"]),
    ("session", &["secret", "clock", "crypto", "entropy", "identity", "telemetry", "apple"]),
    ("assertion", &["clock", "entropy", "identity", "web", "session"]),
    // What happens, in our own words.
    ("policy", &["identity", "web", "session"]),
    ("pages", &["identity", "clock", "web"]),
    ("signin", &["secret", "clock", "entropy", "identity", "web", "telemetry", "apple", "session"]),
    // The shell.
    (
        "proxy",
        &[
            "clock",
            "crypto",
            "entropy",
            "identity",
            "web",
            "telemetry",
            "apple",
            "session",
            "assertion",
            "signin",
            "policy",
            "pages",
            "tls",
        ],
    ),
    ("admin", &["clock", "entropy", "identity", "web", "telemetry", "tls", "apple", "session", "assertion", "pages"]),
    ("demo", &["secret", "clock", "entropy", "identity"]),
    (
        "server",
        &[
            "acme",
            "clock",
            "entropy",
            "telemetry",
            "apple",
            "session",
            "assertion",
            "signin",
            "policy",
            "proxy",
            "admin",
            "tls",
        ],
    ),
    // The file is translated into the settings of every room, the server's last: no room knows the file.
    (
        "config",
        &[
            "acme",
            "identity",
            "web",
            "telemetry",
            "apple",
            "session",
            "assertion",
            "signin",
            "policy",
            "proxy",
            "server",
            "clock",
            "tls",
        ],
    ),
    (
        "cli",
        &[
            "acme",
            "clock",
            "entropy",
            "identity",
            "web",
            "telemetry",
            "apple",
            "session",
            "policy",
            "proxy",
            "admin",
            "config",
            "demo",
            "server",
            "tls",
        ],
    ),
];

/// An arrow that carries one thing only: the user, the used room, and what may be named in it.
const NARROW: &[(&str, &str, &str)] = &[("policy", "session", "ActiveSession")];

/// Rooms in which the proxy framework may be named.
const FRAMEWORK_ROOMS: &[&str] = &["proxy", "server", "admin"];

/// Most lines of a file before its tests.
const LONGEST_FILE: usize = 400;

#[test]
fn arrows_point_down() {
    let allowed: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(allowed) = allowed.get(source.room.as_str()) else { continue };
        for path in paths_below(&source.code, "crate") {
            let used = path.split("::").next().unwrap_or_default();
            if used != source.room && !allowed.contains(&used) {
                wrong.push(format!("{}: {} uses {path}", source.path.display(), source.room));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that tests/architecture.rs does not list:\n{}", wrong.join("\n"));
}

#[test]
fn no_arrow_points_up_in_the_list_itself() {
    for (index, (room, used)) in ROOMS.iter().enumerate() {
        for used in *used {
            let position = ROOMS.iter().position(|(name, _)| name == used);
            assert!(position.is_some_and(|position| position < index), "{room} uses {used}, which stands below it");
        }
    }
}

/// An arrow that nobody needs any more is a door left open.
#[test]
fn every_arrow_is_used() {
    let used: BTreeSet<_> = sources()
        .into_iter()
        .flat_map(|source| paths_below(&source.code, "crate").into_iter().map(move |path| (source.room.clone(), path)))
        .map(|(room, path)| (room, path.split("::").next().unwrap_or_default().to_owned()))
        .collect();
    for (room, allowed) in ROOMS {
        for other in *allowed {
            assert!(used.contains(&((*room).to_owned(), (*other).to_owned())), "{room} does not use {other} any more");
        }
    }
}

#[test]
fn an_arrow_that_carries_one_thing_carries_nothing_else() {
    for source in sources() {
        for (_, used, thing) in NARROW.iter().filter(|(room, _, _)| *room == source.room) {
            let only = format!("{used}::{thing}");
            for path in paths_below(&source.production, "crate") {
                let fine =
                    path.split("::").next() != Some(used) || path == only || path.starts_with(&(only.clone() + "::"));
                assert!(fine, "{}: {path}, but only {only} may be used", source.path.display());
            }
        }
    }
}

/// The program is the command line and nothing else.
#[test]
fn main_knows_the_command_line_only() {
    let code = without_comments(&fs::read_to_string("src/main.rs").unwrap());
    for path in paths_below(&code, "schoolgate") {
        assert_eq!(path.split("::").next(), Some("cli"), "src/main.rs uses {path}");
    }
    assert!(!code.lines().any(|line| line.trim_start().starts_with("mod ")), "src/main.rs has modules of its own");
}

/// `super` may climb inside a room, never out of it.
#[test]
fn nobody_climbs_out_of_a_window() {
    for Source { path, code, production, .. } in sources() {
        let below = path.iter().count() - 1;
        let root = below == 1 || path.ends_with("mod.rs") && below == 2;
        assert!(!code.contains("super::super"), "{}: super::super", path.display());
        assert!(!root || !production.contains("super::"), "{}: super at the room's root", path.display());
    }
}

#[test]
fn every_room_is_listed_in_lib() {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let declared: BTreeSet<_> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let listed: BTreeSet<_> = ROOMS.iter().map(|(room, _)| *room).collect();
    assert_eq!(declared, listed);
    let found: BTreeSet<_> = sources().into_iter().map(|source| source.room).collect();
    assert_eq!(found, listed.into_iter().map(str::to_owned).collect());
    let hidden = lib.lines().any(|line| line.starts_with("mod ") || line.starts_with("pub(crate) mod "));
    assert!(!hidden, "src/lib.rs has a room that is not `pub mod`, and this test would not see it");
}

#[test]
fn files_are_short_and_introduce_themselves() {
    for source in sources() {
        assert!(source.text.starts_with("//!"), "{}: no introduction", source.path.display());
        assert!(source.length <= LONGEST_FILE, "{}: {} lines", source.path.display(), source.length);
    }
}

#[test]
fn the_framework_stays_in_its_rooms() {
    for Source { room, path, code, .. } in sources() {
        let named = code.contains("pingora");
        assert!(!named || FRAMEWORK_ROOMS.contains(&room.as_str()), "{}: names pingora", path.display());
    }
}

#[test]
fn one_file_calls_apple() {
    let mut callers = Vec::new();
    for Source { room, path, code, production, .. } in sources() {
        // The grade book is a program of its own, which calls the Roster API as any app would.
        if production.contains("reqwest") && !path.ends_with("demo/grade_book/roster.rs") {
            assert_eq!(room, "apple", "{}: names reqwest", path.display());
            callers.push(path);
        } else {
            // The stand-in for Apple is tried out as a client would.
            assert!(!code.contains("reqwest") || room == "demo", "{}: names reqwest in its tests", path.display());
        }
    }
    assert!(callers.len() <= 1, "several files name reqwest: {callers:?}");
}

#[test]
fn one_file_speaks_to_redis() {
    let mut speakers = Vec::new();
    for Source { path, code, .. } in sources() {
        let has_own_module = code.lines().any(|line| line.trim() == "mod redis;");
        if !has_own_module && names_crate(&code, "redis") {
            speakers.push(path);
        }
    }
    assert_eq!(speakers, [Path::new("src/session/store/redis/client.rs")]);
}

/// Whether code names a crate, and not a module of ours that is called the same.
fn names_crate(code: &str, name: &str) -> bool {
    let is_word = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let is_path = after.starts_with("::");
        let is_import = before.ends_with("use ") || before.ends_with("extern crate ");
        let is_below = before.strip_suffix("::").is_some_and(|parent| is_word(parent.chars().next_back()));
        !is_word(before.chars().next_back()) && !is_word(after.chars().next()) && !is_below && (is_path || is_import)
    })
}

#[test]
fn this_test_tells_a_crate_from_a_module() {
    for crate_ in ["use redis::Client;", "use ::redis::x;", "a(redis::cmd())", "extern crate redis;", "use redis as r;"]
    {
        assert!(names_crate(crate_, "redis"), "{crate_}");
    }
    for module in ["use super::redis::X;", "crate::store::redis::y()", "let redis = 1;", "redis_url::z()", "mod redis;"]
    {
        assert!(!names_crate(module, "redis"), "{module}");
    }
}

/// Whether the room declares this file for its tests only.
fn is_for_tests(path: &Path) -> bool {
    let Some(folder) = path.parent() else { return false };
    let room = fs::read_to_string(folder.join("mod.rs")).unwrap_or_default();
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let declared = ["mod", "pub(crate) mod", "pub(super) mod"]
        .iter()
        .any(|word| room.contains(&format!("#[cfg(test)]\n{word} {name};")));
    // `a/tests/b.rs` is for tests when `a/tests` is; `a/b/tests.rs` may be declared by `a/b.rs`.
    declared || path.components().any(|part| part.as_os_str() == "tests") || name == "tests"
}

/// A file below `src`.
struct Source {
    room: String,
    path: PathBuf,
    /// All of it.
    text: String,
    /// Its lines before the tests.
    length: usize,
    /// Without the lines that are comments.
    code: String,
    /// `code` without the tests.
    production: String,
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    walk(Path::new("src"), &mut found);
    found.sort();
    found
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "lib.rs" && name != "main.rs"))
        .map(|path| {
            let room = path.iter().nth(1).unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let code = without_comments(&text);
            let before_tests = if is_for_tests(&path) { String::new() } else { before_tests(&text) };
            let production = without_comments(&before_tests);
            Source { room, length: before_tests.lines().count(), path, text, code, production }
        })
        .collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| line.to_owned() + "\n").collect()
}

/// Everything before the inline test module; a declaration such as `#[cfg(test)] mod testing;` ends nothing.
fn before_tests(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let end = lines.iter().enumerate().position(|(at, line)| {
        *line == "#[cfg(test)]"
            && lines[at + 1..]
                .iter()
                .find(|line| !line.starts_with("#["))
                .is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
    });
    lines[..end.unwrap_or(lines.len())].iter().map(|line| (*line).to_owned() + "\n").collect()
}

/// Every path that begins with `root`, without it; groups are taken apart, so that
/// `crate::{a, b::{c, d}}` is `a`, `b::c` and `b::d`.
fn paths_below(code: &str, root: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let start = format!("{root}::");
    for (at, _) in code.match_indices(&start) {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            expand("", &code[at + start.len()..], &mut paths);
        }
    }
    paths
}

/// Reads one path, or one group, that follows `prefix`; returns what is left of `rest`.
fn expand<'a>(prefix: &str, rest: &'a str, paths: &mut Vec<String>) -> &'a str {
    let rest = rest.trim_start();
    if let Some(mut rest) = rest.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            match rest.strip_prefix('}') {
                Some(after) => return after,
                None if rest.is_empty() => return rest,
                None => {
                    let before = rest.len();
                    rest = expand(prefix, rest, paths);
                    // What follows a name, such as `as other`, is not looked at.
                    rest = rest.trim_start_matches(|c| c != ',' && c != '}');
                    assert!(rest.len() < before, "not understood: {rest:.40}");
                }
            }
        }
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).unwrap_or(rest.len());
    let path = format!("{prefix}{}", &rest[..end]);
    match rest[end..].strip_prefix("::") {
        // A turbofish ends the path.
        Some(after) if !after.starts_with('<') => expand(&format!("{path}::"), after, paths),
        Some(_) | None => {
            paths.push(path.trim_end_matches("::self").to_owned());
            &rest[end..]
        }
    }
}

#[test]
fn this_test_reads_groups_and_plain_paths_alike() {
    let code = "use crate::{\n    a,\n    b::{self, C, d::{E, F as G}},\n    h::*,\n};\nlet x = crate::i::J::<K>::new();\n\
        pub(in crate::l) fn m() { my_crate::n() }";
    assert_eq!(paths_below(code, "crate"), ["a", "b", "b::C", "b::d::E", "b::d::F", "h::*", "i::J", "l"]);
}

#[test]
fn this_test_knows_where_tests_begin() {
    let text =
        "//! X\n#[cfg(test)]\nmod testing;\nfn a() {}\n#[cfg(test)]\n#[path = \"b\"]\nmod tests {\n    fn c() {}\n}\n";
    assert_eq!(before_tests(text), "//! X\n#[cfg(test)]\nmod testing;\nfn a() {}\n");
    assert_eq!(without_comments("// a\n    /// b\nc // d\n"), "c // d\n");
}
