//! A look at Redis from outside, for an operator: what a gateway would find when it starts. Nothing is left there.

use tokio::time::timeout;

use super::{
    RedisStore, RedisUrl,
    finder::Finder,
    greeting::{Condition, Greeting},
    keys::Keys,
    link::{CONNECTING, Trouble},
};
use crate::session::Codec;

/// A Redis that a gateway can work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisLook {
    /// Where the sessions are: of several servers, the one that has them now.
    pub server: String,
    /// The version, when the server tells.
    pub version: Option<String>,
    /// The policy by which it throws sessions away when its memory is full.
    pub evicts: Option<String>,
    /// Whether the last sign-ins and sign-outs are lost when it dies.
    pub forgets: bool,
}

/// Why no gateway can work with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisTrouble {
    /// Nobody answers, or not yet.
    #[error("{0}")]
    Away(String),
    /// The server answers and will not let us work, or holds sessions of another key.
    #[error("{0}")]
    Refuses(String),
}

impl RedisStore {
    /// Looks at the Redis of a URL: finds the server, connects, tries every command, and compares keys.
    ///
    /// # Errors
    /// See [`RedisTrouble`].
    pub async fn look(url: RedisUrl, codec: Codec) -> Result<RedisLook, RedisTrouble> {
        let keys = Keys::new(url.database);
        let greeting = Greeting::new(codec, keys.clone());
        let finder = Finder::new(url, keys);
        let looking = async {
            let node = finder.find().await?;
            let wire = finder.open(&node, |_| {}).await?;
            Ok::<_, Trouble>((node, greeting.examine(&wire).await?))
        };
        let looked = timeout(CONNECTING, looking).await;
        match looked.unwrap_or_else(|_| Err(Trouble::Away("no answer in time".to_owned()))) {
            Ok((node, condition)) => {
                let told = condition.map(|Condition { version, evicts, forgets }| (Some(version), evicts, forgets));
                let (version, evicts, forgets) = told.unwrap_or_default();
                Ok(RedisLook { server: node.to_string(), version, evicts, forgets })
            }
            Err(Trouble::Away(why)) => Err(RedisTrouble::Away(why)),
            Err(Trouble::Refused(why)) => Err(RedisTrouble::Refuses(why)),
        }
    }
}
