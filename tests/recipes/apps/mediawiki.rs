//! MediaWiki as Debian packs it, with SQLite.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

use super::{SOMEBODY, dokuwiki::php};
use crate::app::{App, LogOut, Recipe, Workshop, finish, root};

pub(crate) const MEDIAWIKI: Recipe = Recipe {
    page: "docs/recipes/mediawiki.md",
    blocks: &["schoolgate.php", "LocalSettings.php", "administrator"],
    upstream: "127.0.0.1:9001",
    host: "wiki.school.example",
    home: "/index.php?title=Main_Page",
    nobody: "Special:UserLogin",
    log_out: LogOut::Link("/.schoolgate/sign-out"),
    start,
};

fn start(workshop: &Workshop<'_>) -> App {
    let code = root("target/apps/mediawiki");
    let folder = workshop.folder.display();
    let mut install = Command::new("php");
    install.arg("maintenance/install.php").args(["--dbtype", "sqlite", "--dbpath", &format!("{folder}/data")]);
    install.args(["--confpath", &format!("{folder}"), "--scriptpath", "", "--server", "http://127.0.0.1"]);
    install.args(["--pass", "not-used-any-more", "School", "Installer"]);
    finish(install.current_dir(&code));
    workshop.place("schoolgate.php", "schoolgate.php");
    let settings = workshop.path("LocalSettings.php");
    let made = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{made}\n{}", workshop.page.block("LocalSettings.php"))).unwrap();
    let app = App::start(workshop.folder, |address| {
        let mut command = php(&address.to_string(), code.to_str().unwrap());
        command.env("MW_CONFIG_FILE", &settings);
        vec![command]
    });
    // "Sign in once": the wiki makes the user. Then the command of the page, in what looks like MediaWiki's folder.
    let mut stream = TcpStream::connect(app.address).unwrap();
    let (home, host, who) = (MEDIAWIKI.home, MEDIAWIKI.host, workshop.administrator);
    let told = format!("X-Forwarded-Proto: https\r\nX-Remote-User: {who}\r\nX-Remote-Email: {}", workshop.mail);
    write!(stream, "GET {home} HTTP/1.0\r\nHost: {host}\r\n{told}\r\n\r\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    symlink(code.join("maintenance"), workshop.path("maintenance")).unwrap();
    workshop.write(
        "programs/php",
        &format!("#!/bin/sh\nMW_CONFIG_FILE={folder}/LocalSettings.php exec /usr/bin/php \"$@\"\n"),
    );
    std::fs::set_permissions(workshop.path("programs/php"), std::fs::Permissions::from_mode(0o755)).unwrap();
    workshop.run("administrator", &[(SOMEBODY, who)], &workshop.path("programs"));
    app
}
