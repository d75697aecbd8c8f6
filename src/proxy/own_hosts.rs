//! The hosts that browsers reach this gateway by.

use std::sync::Arc;

use crate::{
    policy::Table,
    signin::Home,
    web::{Host, HostPattern, Origin},
};

/// The hosts of all apps, and that of the redirect URI.
#[derive(Clone, Debug)]
pub struct OwnHosts {
    apps: Arc<[HostPattern]>,
    home: Home,
}

impl OwnHosts {
    /// Those of a table and a home.
    #[must_use]
    pub fn of(table: &Table, home: &Home) -> Self {
        Self { apps: table.apps().map(|app| app.host.clone()).collect(), home: home.clone() }
    }

    /// Where browsers find a host of ours; `None` when it is none.
    pub(super) fn origin(&self, host: &Host) -> Option<Origin> {
        let ours = self.home.is(host) || self.apps.iter().any(|app| app.covers(host));
        ours.then(|| self.home.origin_of(host))
    }
}
