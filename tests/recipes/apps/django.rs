//! A site as `django-admin startproject` makes it, with Django's admin pages.

use std::{path::Path, process::Command};

use super::SOMEBODY;
use crate::app::{App, LogOut, Recipe, Workshop, finish, root};

pub(crate) const DJANGO: Recipe = Recipe {
    page: "docs/recipes/django.md",
    blocks: &["schoolgate_user.py", "settings.py", "administrator"],
    upstream: "127.0.0.1:9002",
    host: "school.school.example",
    home: "/admin/",
    nobody: "/admin/login/?next=",
    log_out: LogOut::Form("/admin/logout/"),
    start,
};

fn start(workshop: &Workshop<'_>) -> App {
    let programs = root("target/legacy/bin");
    let python = |arguments: &[&str]| {
        let mut command = Command::new(programs.join("python"));
        command.args(["-u", "-B"]).args(arguments).current_dir(workshop.folder);
        command
    };
    finish(&mut python(&["-m", "django", "startproject", "school", "."]));
    workshop.place("schoolgate_user.py", "schoolgate_user.py");
    let settings = workshop.path("school/settings.py");
    let made = std::fs::read_to_string(&settings).unwrap();
    // The open host of the tests, too.
    let own = workshop.page.filled("settings.py", &[("[\"school.school.example\"]", "[\".school.example\"]")]);
    std::fs::write(&settings, format!("{made}\n{own}")).unwrap();
    finish(&mut python(&["manage.py", "migrate", "--verbosity", "0"]));
    workshop.run("administrator", &[(SOMEBODY, workshop.administrator)], Path::new(&programs));
    App::start(workshop.folder, |address| {
        let bind = address.to_string();
        vec![python(&["-m", "gunicorn", "--bind", &bind, "--workers", "1", "--threads", "4", "school.wsgi"])]
    })
}
