//! The program `schoolgate`.

fn main() {}
