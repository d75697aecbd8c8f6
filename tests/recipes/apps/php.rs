//! Plain PHP behind nginx, by FastCGI as PHP-FPM is.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::app::{App, LogOut, Recipe, Workshop, finish};

pub(crate) const PHP: Recipe = Recipe {
    page: "docs/recipes/php.md",
    blocks: &["nginx.conf", "prepend.php", "index.php", "logout.php"],
    upstream: "127.0.0.1:9003",
    host: "homework.school.example",
    home: "/",
    nobody: "Nobody is signed in.",
    log_out: LogOut::Link("/logout.php"),
    start,
};

fn start(workshop: &Workshop<'_>) -> App {
    workshop.place("index.php", "site/index.php");
    workshop.place("logout.php", "site/logout.php");
    workshop.write("sessions/.keep", "");
    prepended(workshop);
    let folder = workshop.folder.display();
    let fpm = format!("{folder}/php.sock");
    App::start(workshop.folder, |address| {
        let site = workshop.page.filled(
            "nginx.conf",
            &[
                ("127.0.0.1:9003", &address.to_string()),
                ("/var/www/homework", &format!("{folder}/site")),
                ("/run/php/php8.2-fpm.sock", &fpm),
                // Debian's, wherever the configuration lies.
                ("include       fastcgi_params;", "include       /etc/nginx/fastcgi_params;"),
            ],
        );
        workshop.write("site.conf", &site);
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("    {name}_temp_path {folder}/{name};\n"))
            .concat();
        workshop.write(
            "main.conf",
            &format!(
                "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/log info;\nevents {{}}\n\
                 http {{\n    access_log off;\n{temporary}    include {folder}/site.conf;\n}}\n"
            ),
        );
        fs::set_permissions(workshop.folder, fs::Permissions::from_mode(0o755)).unwrap();
        let mut php = Command::new("php-cgi");
        php.args(["-d", &format!("session.save_path={folder}/sessions"), "-b", &fpm]).env("PHP_FCGI_CHILDREN", "2");
        let mut nginx = Command::new("/usr/sbin/nginx");
        nginx.args(["-e", &format!("{folder}/log"), "-c", &format!("{folder}/main.conf")]);
        vec![php, nginx]
    })
}

/// What the page says for other web servers: the same app, told by a line of PHP.
fn prepended(workshop: &Workshop<'_>) {
    workshop.place("prepend.php", "prepend.php");
    let mut php = Command::new("php-cgi");
    let folder = workshop.folder.display();
    php.args(["-d", &format!("auto_prepend_file={folder}/prepend.php")]);
    php.args(["-d", &format!("session.save_path={folder}/sessions")]);
    php.env("REDIRECT_STATUS", "200").env("REQUEST_METHOD", "GET").env("HTTP_X_REMOTE_USER", "somebody");
    let page = finish(php.env("SCRIPT_FILENAME", workshop.path("site/index.php")));
    assert!(page.contains("Good morning, somebody."), "{page}");
}
