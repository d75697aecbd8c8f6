//! What there is, for somebody who asks: nothing is ordered, and nobody gets an account.

use std::time::Duration;

use rcgen::KeyPair;
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::time::timeout;

use super::{
    AcmeError, Settings,
    folder::{Attempts, Folder},
    order,
};
use crate::{
    clock::Timestamp,
    tls::{Kept, PairError},
};

/// Longest wait for an authority.
const PATIENCE: Duration = Duration::from_secs(8);

/// What an earlier order has left, and how the authority is.
#[derive(Debug)]
pub struct Look {
    /// The certificate of the last order, if there is one.
    pub kept: Option<Result<Kept, PairError>>,
    /// Orders that failed since the last that did not, the one under way among them.
    pub failures: u32,
    /// No order before.
    pub not_before: Timestamp,
    /// Whether the authority's directory can be read.
    pub directory: Result<(), AcmeError>,
}

/// Looks at the folder, and reads the authority's directory, which costs nothing there.
pub async fn look(settings: &Settings) -> Look {
    let folder = Folder::new(&settings.folder);
    let directory = timeout(PATIENCE, directory(settings)).await.unwrap_or(Err(AcmeError::TooSlow));
    let Attempts { failures, not_before } = folder.attempts();
    Look { kept: folder.pair(), failures, not_before: Timestamp::from_seconds(not_before), directory }
}

/// The library reads it on the way to an account: one of a key that nobody has seen, and nobody will.
async fn directory(settings: &Settings) -> Result<(), AcmeError> {
    let builder = order::builder(settings)?;
    let key = KeyPair::generate().map_err(|why| instant_acme::Error::Other(why.into()))?.serialize_der();
    builder.from_parts(String::new(), PrivatePkcs8KeyDer::from(key), settings.directory_url.clone()).await?;
    Ok(())
}
