//! Several gateways with one Redis and one key, as a district has them.

use std::{fs, os::unix::fs::PermissionsExt};

use schoolgate::{entropy::SystemEntropy, session::Sealer};

use super::{Program, Site, redis::Server};

/// What the gateways of a site share.
pub struct District {
    pub redis: Server,
}

impl District {
    /// Leaves the key where the gateways find it.
    pub fn new(site: &Site, redis: Server) -> Self {
        let key = site.path("shared.key");
        fs::write(&key, Sealer::new_key(&SystemEntropy).as_bytes()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        Self { redis }
    }

    /// The configuration of one of them.
    pub fn configuration(&self, site: &Site, house: usize, lines: &[(&str, &str)]) -> String {
        let (port, key) = (self.redis.port(), site.path("shared.key"));
        let store = format!("store = \"redis://127.0.0.1:{port}\"\nencryption_key_file = \"{}\"", key.display());
        site.configuration(lines)
            .replace("store = \"memory\"", &store)
            .replace("/state\"", &format!("/state-{house}\""))
            .replace("/admin.sock\"", &format!("/admin-{house}.sock\""))
    }

    /// One of them, once it listens.
    pub async fn start(&self, site: &Site, house: usize, lines: &[(&str, &str)]) -> Program {
        let mut program = site.spawn_as(&format!("gateway-{house}"), &self.configuration(site, house, lines));
        program.started().await;
        program
    }
}
