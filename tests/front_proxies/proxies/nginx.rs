//! nginx, with `auth_request` and in front of the gateway.

use crate::{
    front::{Places, Proxy},
    proxies::{FORWARD_AUTH, IN_FRONT},
};

pub(crate) const NGINX: Proxy = Proxy { page: FORWARD_AUTH, blocks: &["nginx.conf"], places, around, command };

pub(crate) const NGINX_IN_FRONT: Proxy =
    Proxy { page: IN_FRONT, blocks: &["nginx.conf"], places: places_in_front, around, command };

fn places_in_front(places: &Places) -> Vec<(&'static str, String)> {
    vec![
        ("listen 443 ssl;", format!("listen 127.0.0.1:{};", places.port)),
        ("ssl_certificate     /etc/ssl/school.pem;", String::new()),
        ("ssl_certificate_key /etc/ssl/private/school.key;", String::new()),
        ("http://127.0.0.1:8080", format!("http://{}", places.gateway)),
    ]
}

fn places(places: &Places) -> Vec<(&'static str, String)> {
    vec![
        ("listen 443 ssl;", format!("listen 127.0.0.1:{};", places.port)),
        ("ssl_certificate     /etc/ssl/library.pem;", String::new()),
        ("ssl_certificate_key /etc/ssl/private/library.key;", String::new()),
        ("http://127.0.0.1:8080", format!("http://{}", places.gateway)),
        ("http://127.0.0.1:9000", format!("http://{}", places.app)),
    ]
}

fn around(places: &Places) -> Option<(&'static str, String)> {
    let folder = places.folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {folder}/{name};\n"))
        .concat();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/log info;\nevents {{}}\n\
         http {{\n    access_log off;\n{temporary}    include {folder}/nginx.conf;\n}}\n"
    );
    Some(("main.conf", text))
}

fn command(places: &Places) -> Vec<String> {
    ["nginx", "-e", &places.path("log"), "-c", &places.path("main.conf")].map(str::to_owned).into()
}
