//! Says hello, and from where: the smallest thing worth running in a pod.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "printing is all that it is for")]

fn main() {
    let name = std::env::var("AC_APP_NAME").unwrap_or_else(|_| "nobody".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .unwrap_or_else(|error| format!("a host that does not say its name ({error})"));
    println!(
        "Hello from {name}, process {} on {}",
        std::process::id(),
        host.trim_end()
    );
    for word in std::env::args().skip(1) {
        println!("You said: {word}");
    }
}
