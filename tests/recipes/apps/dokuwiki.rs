//! DokuWiki as Debian packs it, laid out as its own archive is.

use std::process::Command;

use super::SOMEBODY;
use crate::app::{App, LogOut, Recipe, Workshop, finish, root};

pub(crate) const DOKUWIKI: Recipe = Recipe {
    page: "docs/recipes/dokuwiki.md",
    blocks: &["plugin.info.txt", "auth.php", "local.protected.php", "acl.auth.php"],
    upstream: "127.0.0.1:9001",
    host: "wiki.school.example",
    home: "/doku.php?id=start",
    nobody: "do=login",
    log_out: LogOut::Link("do=logout"),
    start,
};

fn start(workshop: &Workshop<'_>) -> App {
    finish(Command::new("cp").arg("-r").arg(root("target/apps/dokuwiki")).arg(workshop.path("wiki")));
    // Debian's package has it in /etc, and data in /var/lib.
    let folder = workshop.path("wiki");
    let folder = folder.display();
    workshop.write("wiki/inc/preload.php", &format!("<?php define('DOKU_CONF', '{folder}/conf/');\n"));
    workshop.write("wiki/conf/local.php", &format!("<?php $conf['savedir'] = '{folder}/data';\n"));
    workshop.write("wiki/conf/users.auth.php", "");
    workshop.place("plugin.info.txt", "wiki/lib/plugins/authschoolgate/plugin.info.txt");
    workshop.place("auth.php", "wiki/lib/plugins/authschoolgate/auth.php");
    let protected = workshop.page.filled("local.protected.php", &[(SOMEBODY, workshop.administrator)]);
    workshop.write("wiki/conf/local.protected.php", &protected);
    workshop.place("acl.auth.php", "wiki/conf/acl.auth.php");
    App::start(workshop.folder, |address| vec![php(&address.to_string(), &format!("{folder}"))])
}

/// PHP's own web server.
pub(super) fn php(address: &str, site: &str) -> Command {
    let mut command = Command::new("php");
    command.args(["-d", "error_reporting=22527", "-d", "display_errors=0", "-d", "log_errors=1"]);
    command.args(["-S", address, "-t", site]).env("PHP_CLI_SERVER_WORKERS", "3");
    command
}
