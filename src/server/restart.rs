//! What of a changed configuration a reload cannot bring.

use super::{Settings, StoreChoice, session_key};

/// A key of the configuration that is read at the start only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedsRestart(pub &'static str);

/// The settings that only a start reads, to be compared with those of a later file.
#[derive(Clone, Debug)]
pub(super) struct Fixed(Vec<(&'static str, String)>);

impl Fixed {
    /// Those among all settings.
    pub(super) fn of(settings: &Settings) -> Self {
        // As text: they are compared and never used. None of it is shown.
        let text = |value: &dyn std::fmt::Debug| format!("{value:?}");
        let acme = settings.tls.as_ref().and_then(|tls| tls.acme.as_ref());
        let binding = acme.and_then(|acme| acme.external_account.as_ref());
        // What the files and the URL hold, too: whoever changes a secret may want the old one gone.
        let key = session_key(settings).ok().flatten().map(|sealer| sealer.tags("settings", "key"));
        let password = match &settings.store {
            StoreChoice::Redis(url) => url.password_mark(),
            StoreChoice::Memory | StoreChoice::File => None,
        };
        Self(vec![
            ("server.listen", text(&settings.listen)),
            ("server.tls", text(&settings.tls.is_some())),
            ("server.tls.redirect_http_listen", text(&settings.tls.as_ref().map(|tls| &tls.redirect_listen))),
            // With a new host the certificate has to be another one.
            ("server.tls.acme", text(&acme.map(|acme| &acme.names))),
            ("server.tls.acme.directory_url", text(&acme.map(|acme| &acme.directory_url))),
            ("server.tls.acme.contact", text(&acme.map(|acme| &acme.contact))),
            ("server.tls.acme.ca_file", text(&acme.map(|acme| &acme.ca_file))),
            ("server.tls.acme.external_account_key_id", text(&binding.map(|account| &account.key_id))),
            ("server.tls.acme.external_account_key_file", text(&binding.map(|account| account.mark()))),
            ("server.admin_listen", text(&settings.admin_listen)),
            ("server.state_dir", text(&settings.state_dir)),
            ("session.store", text(&(&settings.store, password))),
            ("session.encryption_key_file", text(&(&settings.encryption_key_file, key))),
            ("log.format", text(&settings.log.format)),
            ("log.traces", text(&settings.log.traces)),
        ])
    }

    /// The keys that have changed.
    pub(super) fn changed(&self, later: &Self) -> Vec<NeedsRestart> {
        let pairs = self.0.iter().zip(&later.0);
        pairs.filter(|(here, there)| here != there).map(|((key, _), _)| NeedsRestart(key)).collect()
    }
}

impl Settings {
    /// What a reload to `later` leaves as it is here.
    #[must_use]
    pub fn needs_restart(&self, later: &Self) -> Vec<NeedsRestart> {
        Fixed::of(self).changed(&Fixed::of(later))
    }
}
