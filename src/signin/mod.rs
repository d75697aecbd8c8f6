//! The story of a sign-in, told once: begin, finish, step-up, renew, sign out.

mod settings;

pub use settings::Settings;
