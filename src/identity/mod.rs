//! Who somebody is: subject, organization, email, scopes. Vocabulary that knows nobody.

mod name;
mod person;
mod scopes;

pub use name::{NameError, Organization, Subject};
pub use person::{Email, Person};
pub use scopes::{ScopeError, ScopeSet};
