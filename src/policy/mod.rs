//! What an administrator said about a request, and the decision that follows.
