//! One order: the account, the proofs, the certificate.

use std::{io, time::Duration};

use instant_acme::{
    Account, AccountBuilder, AuthorizationStatus, ChallengeType, ExternalAccountKey, Identifier, NewAccount, NewOrder,
    OrderStatus, RetryPolicy,
};

use super::{Settings, folder::Folder};
use crate::{
    crypto,
    tls::{ChallengeError, Challenges},
    web::Host,
};

/// How long an authority may take over looking at names, or over a certificate.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long a whole order may take.
pub(super) const WHOLE: Duration = Duration::from_secs(300);

/// How names are proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// In a handshake at port 443.
    Handshake,
    /// Over plain HTTP at port 80.
    PlainHttp,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The authority refuses, or cannot be reached.
    #[error("the authority: {}", causes(.0))]
    Authority(#[from] instant_acme::Error),
    /// A name is not proven: the authority does not find this gateway by it.
    #[error("the authority does not find this gateway by the names of the order: does each lead here, at port {0}?")]
    NotProven(u16),
    /// The authority knows neither way to prove a name.
    #[error("the authority wants a proof for {0} that this gateway cannot give")]
    NoProof(String),
    /// It takes too long.
    #[error("the order took too long")]
    TooSlow,
    /// What is kept cannot be read or written.
    #[error("cannot keep account or certificate in state_dir: {0}")]
    Folder(#[from] io::Error),
    /// No answer can be made.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
}

/// An error with its causes: "client error" alone tells nobody which.
fn causes(error: &instant_acme::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(why) = cause {
        let why_text = why.to_string();
        if !text.contains(&why_text) {
            text += &format!(": {why_text}");
        }
        cause = why.source();
    }
    text
}

/// Orders one certificate for all names; leaves it in the folder.
pub(super) async fn order(
    settings: &Settings,
    folder: &Folder,
    challenges: &Challenges,
    proof: Proof,
) -> Result<(), AcmeError> {
    let account = account(settings, folder).await?;
    let names: Vec<_> = settings.names.iter().map(|name| Identifier::Dns(name.name().to_owned())).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        let no_proof = || AcmeError::NoProof(name.clone());
        let host = Host::parse(&name).ok().filter(|host| settings.names.contains(host)).ok_or_else(no_proof)?;
        let kind = match proof {
            Proof::Handshake => ChallengeType::TlsAlpn01,
            Proof::PlainHttp => ChallengeType::Http01,
        };
        let mut challenge = authorization.challenge(kind).ok_or_else(no_proof)?;
        let answer = challenge.key_authorization();
        match proof {
            Proof::Handshake => challenges.answer_in_handshake(&host, answer.digest().as_ref())?,
            Proof::PlainHttp => challenges.answer_over_http(&challenge.token, answer.as_str()),
        }
        challenge.set_ready().await?;
    }
    let retries = RetryPolicy::new().timeout(PATIENCE);
    if order.poll_ready(&retries).await? != OrderStatus::Ready {
        return Err(AcmeError::NotProven(match proof {
            Proof::Handshake => 443,
            Proof::PlainHttp => 80,
        }));
    }
    // A new key for each certificate.
    let key = zeroize::Zeroizing::new(order.finalize().await?);
    let chain = order.poll_certificate(&retries).await?;
    folder.keep_pair(&chain, &key)?;
    Ok(())
}

/// The account that is kept, or a new one.
async fn account(settings: &Settings, folder: &Folder) -> Result<Account, AcmeError> {
    let builder = builder(settings)?;
    if let Some(known) = folder.account(&settings.directory_url)? {
        return Ok(builder.from_credentials(known).await?);
    }
    let contact: Vec<_> = settings.contact.iter().map(String::as_str).collect();
    // Without the agreement in the configuration nothing is ordered at all.
    let account = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let binding = settings.external_account.as_ref();
    let binding = binding.map(|account| ExternalAccountKey::new(account.key_id.clone(), &account.key));
    let (account, credentials) = builder.create(&account, settings.directory_url.clone(), binding.as_ref()).await?;
    folder.keep_account(&settings.directory_url, &credentials)?;
    Ok(account)
}

/// What talks to the authority, and trusts whom the settings say.
pub(super) fn builder(settings: &Settings) -> Result<AccountBuilder, instant_acme::Error> {
    crypto::install();
    match &settings.ca_file {
        Some(path) => Account::builder_with_root(path),
        None => Account::builder(),
    }
}
