//! Serves a mock of the service, with a page for the browser that shows the messages it receives.
//!
//! ```text
//! cargo run --example mock_service -- --port 8080   # without `--port`, it takes a free port
//! ```
//!
//! It prints the address of the page, and settings for `push_file`, `publish_file` and your own
//! programs. The private key in the settings belongs to this mock alone. Ctrl-C stops it.

use std::io::{self, Write};

use anyhow::{Context, bail};
use pushslots::mock::MockService;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match arguments.as_slice() {
        [] => 0,
        [option, port] if option == "--port" => {
            let number = port.parse::<u16>();
            number.with_context(|| format!("--port {port}: use a number from 0 to 65535"))?
        }
        _ => bail!("usage: mock_service [--port PORT]"),
    };
    let service = MockService::builder().port(port).without_rate_limit().start();
    let service =
        service.context("failed to start the mock; if the port is taken, use another --port")?;

    println!("The page of the mock: {}/\n\nIn another terminal:\n", service.url());
    println!("{}", service.shell_settings());
    println!("cargo run --example push_file -- tests/data/official-push-slots.json\n");
    io::stdout().flush()?;

    // The mock serves in its own thread.
    loop {
        std::thread::park();
    }
}
