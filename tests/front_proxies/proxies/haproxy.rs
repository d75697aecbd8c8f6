//! HAProxy, with Lua.

use crate::{
    front::{Places, Proxy},
    proxies::FORWARD_AUTH,
};

pub(crate) const HAPROXY: Proxy =
    Proxy { page: FORWARD_AUTH, blocks: &["haproxy.cfg", "haproxy.lua"], places, around: |_| None, command };

fn places(places: &Places) -> Vec<(&'static str, String)> {
    vec![
        ("bind :443 ssl crt /etc/ssl/private/library.pem", format!("bind 127.0.0.1:{}", places.port)),
        ("lua-load /etc/haproxy/schoolgate.lua", format!("lua-load {}", places.path("haproxy.lua"))),
        ("http://127.0.0.1:8080/", format!("http://{}/", places.gateway)),
        ("server schoolgate 127.0.0.1:8080", format!("server schoolgate {}", places.gateway)),
        ("server library 127.0.0.1:9000", format!("server library {}", places.app)),
    ]
}

fn command(places: &Places) -> Vec<String> {
    ["haproxy", "-db", "-f", &places.path("haproxy.cfg")].map(str::to_owned).into()
}
