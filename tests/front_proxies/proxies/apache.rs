//! Apache, with `mod_lua`.

use crate::{
    front::{Places, Proxy},
    proxies::FORWARD_AUTH,
};

pub(crate) const APACHE: Proxy =
    Proxy { page: FORWARD_AUTH, blocks: &["apache.conf", "apache.lua"], places, around, command };

/// What `a2enmod` does, without TLS.
const MODULES: [&str; 6] = ["mpm_event", "authz_core", "headers", "lua", "proxy", "proxy_http"];

fn places(places: &Places) -> Vec<(&'static str, String)> {
    vec![
        ("*:443", format!("127.0.0.1:{}", places.port)),
        ("SSLEngine on", String::new()),
        ("SSLCertificateFile    /etc/ssl/library.pem", String::new()),
        ("SSLCertificateKeyFile /etc/ssl/private/library.key", String::new()),
        ("/etc/apache2/schoolgate.lua check", format!("{} check", places.path("apache.lua"))),
        ("http://127.0.0.1:8080", format!("http://{}", places.gateway)),
        ("http://127.0.0.1:9000", format!("http://{}", places.app)),
        ("ADDRESS, PORT = \"127.0.0.1\", 8080", format!("ADDRESS, PORT = \"127.0.0.1\", {}", places.gateway.port())),
    ]
}

fn around(places: &Places) -> Option<(&'static str, String)> {
    let folder = places.folder.display();
    let modules =
        MODULES.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")).concat();
    let text = format!(
        "ServerRoot {folder}\nServerName localhost\nDefaultRuntimeDir {folder}\nPidFile {folder}/pid\nErrorLog {folder}/log\n{modules}\
         User www-data\nGroup www-data\nListen 127.0.0.1:{}\nInclude {folder}/apache.conf\n",
        places.port
    );
    Some(("main.conf", text))
}

fn command(places: &Places) -> Vec<String> {
    ["apache2", "-X", "-f", &places.path("main.conf")].map(str::to_owned).into()
}
