//! Nose Cone's host side.

mod ground;
mod image;
mod pod;
mod words;

fn main() {}
