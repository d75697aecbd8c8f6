//! Tomcat as Debian packs it, with an app in JSP.

use std::{path::Path, process::Command};

use crate::app::{App, LogOut, Recipe, Workshop};

pub(crate) const JAVA: Recipe = Recipe {
    page: "docs/recipes/java.md",
    blocks: &["server.xml", "SchoolgateFilter.java", "compile", "web.xml", "index.jsp", "logout.jsp"],
    upstream: "127.0.0.1:9004",
    host: "grades.school.example",
    home: "/",
    nobody: "Good morning, nobody.",
    log_out: LogOut::Link("/logout.jsp"),
    start,
};

/// As much of what Tomcat says for all apps as this one needs.
const OF_ALL_APPS: &str = "\
    <servlet><servlet-name>jsp</servlet-name><servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class></servlet>
    <servlet-mapping><servlet-name>jsp</servlet-name><url-pattern>*.jsp</url-pattern></servlet-mapping>
    <welcome-file-list><welcome-file>index.jsp</welcome-file></welcome-file-list>
";

fn start(workshop: &Workshop<'_>) -> App {
    workshop.place("index.jsp", "webapps/ROOT/index.jsp");
    workshop.place("logout.jsp", "webapps/ROOT/logout.jsp");
    let web = workshop.page.block("web.xml");
    let around = "<?xml version=\"1.0\"?>\n<web-app xmlns=\"https://jakarta.ee/xml/ns/jakartaee\" version=\"6.0\">";
    workshop.write("webapps/ROOT/WEB-INF/web.xml", &format!("{around}\n{web}</web-app>\n"));
    workshop.place("SchoolgateFilter.java", "webapps/ROOT/SchoolgateFilter.java");
    Workshop { folder: &workshop.path("webapps/ROOT"), ..*workshop }.run("compile", &[], Path::new("/usr/bin"));
    for folder in ["temp", "logs", "work"] {
        workshop.write(&format!("{folder}/.keep"), "");
    }
    workshop.write("conf/web.xml", &format!("{around}\n{OF_ALL_APPS}</web-app>\n"));
    App::start(workshop.folder, |address| {
        let port = format!("port=\"{}\"", address.port());
        let connector = workshop.page.filled("server.xml", &[("port=\"9004\"", &port)]);
        let server = format!(
            "<Server port=\"-1\">\n<Service name=\"Catalina\">\n{connector}<Engine name=\"Catalina\" defaultHost=\"localhost\">\n\
             <Host name=\"localhost\" appBase=\"webapps\" />\n</Engine>\n</Service>\n</Server>\n"
        );
        workshop.write("conf/server.xml", &server);
        let mut tomcat = Command::new("/usr/share/tomcat10/bin/catalina.sh");
        tomcat.arg("run").env("CATALINA_HOME", "/usr/share/tomcat10").env("CATALINA_BASE", workshop.folder);
        tomcat.env("CATALINA_TMPDIR", workshop.path("temp"));
        vec![tomcat]
    })
}
