//! Who somebody is: subject, organization, email, scopes. Vocabulary that knows nobody.

mod name;
mod person;
mod scopes;
mod shared_text;

pub use name::{NameError, Organization, Subject};
pub use person::{Email, Person};
pub use scopes::{ScopeError, ScopeSet};
pub use shared_text::SharedText;
