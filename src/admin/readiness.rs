//! Whether the gateway can do its work, and what is missing.

use std::sync::Arc;

use serde::Serialize;

use crate::apple::Apple;

/// Knows whom to ask.
#[derive(Clone, Debug)]
pub struct Readiness {
    apple: Arc<Apple>,
}

/// What is missing; nothing, when the gateway is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether everything is there.
    pub ready: bool,
    /// What is not, in words for the operator.
    pub missing: Vec<String>,
}

impl Readiness {
    /// Asks Apple's keys.
    #[must_use]
    pub fn new(apple: Arc<Apple>) -> Self {
        Self { apple }
    }

    /// Asks everybody.
    pub async fn report(&self) -> Report {
        let keys = self.apple.keys_ready().await;
        let missing = if keys.usable {
            Vec::new()
        } else {
            let why = keys.last_error.map_or_else(|| "not fetched yet".to_owned(), |error| error.to_string());
            vec![format!("Apple's keys: {why}")]
        };
        Report { ready: missing.is_empty(), missing }
    }
}
