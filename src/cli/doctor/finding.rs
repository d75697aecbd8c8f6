//! What a check finds. The identifiers are an interface: `docs/doctor.md` lists them.

use serde::{Serialize, Serializer};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Good to know, and perhaps as it should be.
    Note,
    /// It works, and should be mended.
    Warning,
    /// Something does not work.
    Problem,
}

/// Names and states of all findings, from one list.
macro_rules! ids {
    ($($state:ident { $($id:ident = $name:literal,)+ })+) => {
        /// Which finding it is: a closed set.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Id {
            $($($id,)+)+
        }

        impl Id {
            /// All of them.
            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$($(Self::$id,)+)+];

            /// The name.
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $($(Self::$id => $name,)+)+
                }
            }

            /// How bad it is.
            pub(super) const fn state(self) -> State {
                match self {
                    $($(Self::$id => State::$state,)+)+
                }
            }
        }
    };
}

ids! {
    Ok {
        AcmeDirectory = "acme-directory",
        AppleKeys = "apple-keys",
        AppleClock = "apple-clock",
        AppleCredentials = "apple-credentials",
        AppleSignInPage = "apple-sign-in-page",
        Authorities = "authorities",
        Certificate = "certificate",
        Descriptors = "descriptors",
        Gateway = "gateway",
        Hosts = "hosts",
        Listener = "listener",
        StateDirectory = "state-directory",
        Store = "store",
        StoreKey = "store-key",
        Upstream = "upstream",
    }
    Note {
        AppleClockUnknown = "apple-clock-unknown",
        AppleSignInPageUnknown = "apple-sign-in-page-unknown",
        CertificateNotOrdered = "certificate-not-ordered",
        GatewayStopped = "gateway-stopped",
        GatewayUnknown = "gateway-unknown",
        HostUnresolvable = "host-unresolvable",
        RunAsRoot = "run-as-root",
    }
    Warning {
        AppleClientIdOdd = "apple-client-id-odd",
        CertificateExpiresSoon = "certificate-expires-soon",
        ConfigurationWarning = "configuration-warning",
        DescriptorsFew = "descriptors-few",
        StoreEvicts = "store-evicts",
        StoreForgets = "store-forgets",
        StoreKeyOpen = "store-key-open",
        UpstreamCertificateExpires = "upstream-certificate-expires",
        UpstreamFails = "upstream-fails",
    }
    Problem {
        AcmeDirectoryUnreachable = "acme-directory-unreachable",
        AcmeFails = "acme-fails",
        AppleClientRefused = "apple-client-refused",
        AppleClockOff = "apple-clock-off",
        AppleCredentialsRefused = "apple-credentials-refused",
        AppleKeysUnreachable = "apple-keys-unreachable",
        AppleKeysUnusable = "apple-keys-unusable",
        AppleRedirectRefused = "apple-redirect-refused",
        AppleScopesRefused = "apple-scopes-refused",
        AppleSecretRefused = "apple-secret-refused",
        AppleSignInPageRefused = "apple-sign-in-page-refused",
        AppleTokenRefused = "apple-token-refused",
        AppleTokenUnavailable = "apple-token-unavailable",
        AuthoritiesMissing = "authorities-missing",
        CertificateEarly = "certificate-early",
        CertificateExpired = "certificate-expired",
        CertificateLacksHost = "certificate-lacks-host",
        CertificateUnusable = "certificate-unusable",
        CheckOverdue = "check-overdue",
        GatewayNotReady = "gateway-not-ready",
        GatewaySilent = "gateway-silent",
        ListenerUnusable = "listener-unusable",
        StateDirectoryUnusable = "state-directory-unusable",
        StoreAway = "store-away",
        StoreBroken = "store-broken",
        StoreHeld = "store-held",
        StoreKeyUnusable = "store-key-unusable",
        StoreRefuses = "store-refuses",
        UpstreamSilent = "upstream-silent",
        UpstreamUnhealthy = "upstream-unhealthy",
        UpstreamUnreachable = "upstream-unreachable",
        UpstreamUnresolvable = "upstream-unresolvable",
        UpstreamUntrusted = "upstream-untrusted",
        UpstreamWantsTls = "upstream-wants-tls",
        UpstreamWithoutTls = "upstream-without-tls",
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Which it is.
    pub(super) id: Id,
    /// How bad it is.
    pub(super) state: State,
    /// What it is about, where there are several of a kind: an upstream, an address, a file.
    pub(super) about: Option<String>,
    /// What was found.
    pub(super) what: String,
    /// What to do about it; `None` when all is well.
    pub(super) cure: Option<String>,
}

impl Finding {
    /// All is well.
    pub(super) fn well(id: Id, what: impl Into<String>) -> Self {
        Self { id, state: id.state(), about: None, what: what.into(), cure: None }
    }

    /// Something is not, or may not be.
    pub(super) fn ill(id: Id, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..Self::well(id, what) }
    }

    /// The same with what it is about.
    pub(super) fn about(self, about: impl Into<String>) -> Self {
        Self { about: Some(about.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_documentation_lists_every_finding_with_its_state() {
        let text = std::fs::read_to_string("docs/doctor.md").unwrap();
        let documented: BTreeSet<_> = text
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| `")?.split(" | ");
                let name = cells.next()?.trim_end_matches('`');
                Some((name.to_owned(), cells.next()?.trim().to_owned()))
            })
            .collect();
        let known: BTreeSet<_> =
            Id::ALL.iter().map(|id| (id.name().to_owned(), format!("{:?}", id.state()).to_lowercase())).collect();
        assert_eq!(known.len(), Id::ALL.len(), "a name is given twice");
        assert_eq!(documented, known);
    }
}
