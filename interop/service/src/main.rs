//! `conclave-interop` is the working group's interop service over Conclave;
//! `conclave-interop drive` runs scripts between such services.

use clap::{Args, Parser, Subcommand, ValueEnum};
use conclave_interop::drive::{self, drive};
use conclave_interop::service::Service;
use conclave_interop::service::serve::listen;
use conclave_mls::crypto::CryptoProvider;
use conclave_provider_aws_lc::AwsLc;
use conclave_provider_rustcrypto::RustCrypto;
use std::process::ExitCode;

/// The MLS working group's interop service, over Conclave.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    serve: Serve,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
struct Serve {
    /// The address to listen at.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen at; 0 for any that is free.
    #[arg(long, default_value_t = 50051)]
    port: u16,
    /// The provider of cryptography.
    #[arg(long, default_value = "aws-lc")]
    provider: Provider,
    /// Forgets each group after every step, and loads it from its rows.
    #[arg(long)]
    reload: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Provider {
    /// Native and fast.
    AwsLc,
    /// Pure Rust.
    #[value(name = "rustcrypto")]
    RustCrypto,
}

#[derive(Subcommand)]
enum Command {
    /// Runs scripts between services.
    Drive(Box<drive::Options>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Drive(options)) => drive(*options).await.map(drop),
        None => serve(cli.serve).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Answers calls until Ctrl-C.
async fn serve(options: Serve) -> Result<(), String> {
    let provider: Box<dyn CryptoProvider> = match options.provider {
        Provider::AwsLc => Box::new(AwsLc::new()),
        Provider::RustCrypto => Box::new(RustCrypto::new()),
    };

    let host = options.host;
    let port = options.port;
    let socket = listen(&host, port).await.map_err(|e| format!("{host}:{port}: {e}"))?;
    let end = interrupted();
    println!("conclave-interop listens at {}", socket.address());
    let service = Service::new(provider, options.reload);
    socket.serve(service, end).await.map_err(|e| e.to_string())
}

/// Ends when the process is interrupted, counted from the call and not from the first poll: whoever
/// reads where the service listens may interrupt it at once.
#[cfg(unix)]
fn interrupted() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = signal(SignalKind::interrupt());
    async {
        match signals {
            Ok(mut signals) => drop(signals.recv().await),
            // Without signals, only a kill ends the service.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    // Without signals, only a kill ends the service.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
