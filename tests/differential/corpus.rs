//! What is asked for: spellings of paths, names of fields and methods that somebody could read in another way.

use super::support::names::{PATHS, RESERVED, spellings};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
}

fn get(target: impl Into<String>) -> Case {
    Case { method: "GET".into(), target: target.into(), fields: Vec::new() }
}

/// What stands before the name of a closed folder, from where it might be reached all the same.
const BEFORE: &[&str] = &[
    "/",
    "/public/",
    "//",
    "/./",
    "/;/",
    "/;x/",
    "/%2f",
    "/%5c",
    "/%20/",
    "/%00/",
    "/%2e/",
    "/x/../",
    "/public/../",
    "/public/x/../../",
    "/public/%2e%2e/",
    "/public/%2E./",
    "/public/.%2e/",
    "/public/%252e%252e/",
    "/public/..;/",
    "/public/..;x/",
    "/public/..%3b/",
    "/public/..%2f",
    "/public%2f..%2f",
    "/public/..%5c",
    "/public%5c..%5c",
    "/public/..\\",
    "/public\\..\\",
    "/public/..%00/",
    "/public/..%20/",
    "/public/.../",
    "/public/...%2f",
    "/public//../",
    "/public/;/../",
    "/public/%2f../",
    "/public;/../",
    "/public/index.php/../../",
    "/public/index.php/",
    "/public/index.html/",
    "/index.php/",
    "/public/%c0%ae%c0%ae/",
    "/public/%u002e%u002e/",
    "/PUBLIC/../",
    "http://library.school.example/",
    "http://library.school.example/public/../",
    "https://library.school.example//",
    "HTTP://LIBRARY.SCHOOL.EXAMPLE/",
    "http:/",
    "http:///",
    "/http://library.school.example/",
];

/// Spellings of its name.
const NAMES: &[&str] = &[
    "admin",
    "ADMIN",
    "Admin",
    "%61dmin",
    "%41dmin",
    "a%64min",
    "%61%64%6d%69%6e",
    "%2561dmin",
    "%252561dmin",
    "admin;x",
    "admin;",
    "admin%3bx",
    "admin%3b",
    ";x/admin",
    "admin.",
    "admin..",
    "admin%2e",
    "admin%20",
    "admin+",
    "%20admin",
    "admin%09",
    "admin%00",
    "admin%00.html",
    "admin%0a",
    "admin%2f",
    "admin%2f..",
    "admin%5c",
    "admin\\",
    "admin\u{131}",
    "adm%C4%B1n",
    "%EF%BD%81dmin",
    "adm%69n%CC%87",
    "a%u0064min",
    "admin%ff",
    "admin~1",
    "admin::$DATA",
    "admin#",
    "admin%23",
    "admin?",
    "admin%3f",
    "admin&",
    "staff",
    "Staff",
];

/// What stands behind it.
const AFTER: &[&str] = &[
    "/",
    "//",
    "/index.php",
    "/index.html",
    "/index.php/x",
    "/x",
    "/.",
    "/..",
    "/../admin",
    "/../../public",
    "/..;/public",
    "/%2e%2e/public",
    "/..%2fpublic",
    ";/public",
    "/;/public",
    "?/public",
    "?x=/public/",
    "#/public",
    "%23/public",
    "%3f/public",
    "%3f/../public",
    "%00/public",
    "/public",
];

/// Class A: the path.
pub(crate) fn paths() -> Vec<Case> {
    let mut targets: Vec<String> = Vec::new();
    for before in BEFORE {
        // A name in its plain spelling with everything, and each spelling with what is plain.
        targets.extend(NAMES.iter().map(|name| format!("{before}{name}")));
    }
    for before in ["/", "/public/", "/public/../"] {
        for name in ["admin", "%61dmin", "ADMIN", "admin;x"] {
            targets.extend(AFTER.iter().map(|after| format!("{before}{name}{after}")));
        }
    }
    // What is open stays so, in as many spellings.
    for target in ["/public", "/public/", "/public/a%20b", "/%70ublic/c", "/public/d;e", "/optional/f?g", "/h", "/"] {
        targets.push(target.into());
    }
    targets.into_iter().map(get).collect()
}

/// Class B: the fields, those of a person and those of a path.
pub(crate) fn fields() -> Vec<Case> {
    let mut cases = Vec::new();
    let places = ["/public/x", "/optional/x", "/x"];
    let mut add = |fields: &[(&str, &str)]| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let target = places[cases.len() % places.len()];
        cases.push(Case { fields, ..get(target) });
    };
    let long = format!("forged{}", "x".repeat(9_000));
    for name in RESERVED {
        for spelling in spellings(name) {
            add(&[(&spelling, "forged")]);
            add(&[(name, ""), (&spelling, "forged")]);
            add(&[("Connection", &format!("close, {spelling}")), (&spelling, "forged")]);
        }
        let swapped = name.replace('-', "_");
        for value in ["forged Zo\u{eb}", "forged\u{e9}", &long, "", " ", "forged,forged", "\tforged"] {
            add(&[(name, value)]);
            add(&[(&swapped, value), (name, value)]);
        }
        add(&[("X-Case-Before", "a\r\n folded: x"), (name, "forged")]);
        add(&[(&format!("{name} "), "forged")]);
        add(&[(&format!(" {name}"), "forged")]);
        add(&[(&format!("X-A: b\n{name}"), "forged")]);
        add(&[(&format!("X-A: b\r{name}"), "forged")]);
        add(&[(&format!("{name}\u{0}"), "forged")]);
    }
    for name in PATHS {
        for spelling in spellings(name) {
            for path in ["/admin", "/public/../admin", "https://library.school.example/admin"] {
                add(&[(&spelling, path)]);
            }
        }
    }
    cases
}

/// Class K: the method.
pub(crate) fn methods() -> Vec<Case> {
    let mut cases = Vec::new();
    let methods = [
        "GET", "get", "Get", "gET", "HEAD", "head", "POST", "post", "PUT", "DELETE", "delete", "OPTIONS", "options",
        "PATCH", "TRACE", "trace", "CONNECT", "PROPFIND", "COPY", "MOVE", "LOCK", "DEBUG", "X", "GET1", "G-ET",
        "GET\t", "GE_T", "\u{0}GET", "\r\nGET",
    ];
    for method in methods {
        for target in ["/admin/", "/notes/", "/public/x", "/x", "*", "library.school.example:443"] {
            cases.push(Case { method: method.into(), ..get(target) });
            let preflight = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "GET")];
            let preflight = preflight.map(|(name, value)| (name.to_owned(), value.to_owned()));
            cases.push(Case { method: method.into(), fields: preflight.into(), ..get(target) });
        }
    }
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        for spelling in spellings(name) {
            for method in ["DELETE", "POST"] {
                let fields = vec![(spelling.clone(), method.to_owned())];
                cases.push(Case { fields, ..get("/notes/") });
            }
        }
    }
    for destination in ["/admin/x", "/public/../admin/x", "https://library.school.example/admin/x", "/ADMIN/x"] {
        let fields = vec![("Destination".to_owned(), destination.to_owned())];
        cases.push(Case { method: "MOVE".into(), fields, ..get("/public/x") });
    }
    cases
}
