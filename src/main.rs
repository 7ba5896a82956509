//! warm-up
fn main() {}
