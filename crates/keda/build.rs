//! How the executable is linked.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The pointers of a position-independent executable are mended when it starts, from a table that is then in memory: a bit each
    // instead of 24 bytes takes 1.8 MB off file and process. glibc reads this form since 2.36, of 2022.
    let target = |part: &str| var(format!("CARGO_CFG_TARGET_{part}"));
    if target("OS").as_deref() == Ok("linux") && target("ENV").as_deref() == Ok("gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
