//! Apple as an OAuth and OpenID provider: every endpoint, every token, and the one HTTP client.
