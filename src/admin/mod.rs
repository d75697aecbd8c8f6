//! The listener for operators: liveness and readiness.
