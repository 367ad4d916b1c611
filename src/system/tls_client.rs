//! TLS of the requests that this program sends: rustls with the certificates that the system trusts.

use std::sync::{Arc, LazyLock};

use tokio_rustls::rustls::crypto::ring::default_provider;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// What to do where no certificate of a server is trusted.
pub const TRUST_REMEDY: &str =
    "install the system's certificates (Debian: ca-certificates), or name a file of them in SSL_CERT_FILE";

/// For agents that call `url`. The certificates are read once, and only where they are needed.
pub fn tls_for(url: &str) -> TlsConfig {
    match url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
        true => trusting(&SYSTEM_CERTIFICATES),
        false => trusting(&[]),
    }
}

/// The certificates that the system trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
static SYSTEM_CERTIFICATES: LazyLock<Vec<Certificate<'static>>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!("a certificate of this system cannot be read: {error}");
    }
    found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
});

fn trusting(certificates: &[Certificate<'static>]) -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
        .root_certs(RootCerts::new_with_certs(certificates))
        .build()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_without_tls_or_trust_is_an_error_and_no_panic() {
        for scheme in ["https", "HTTPS"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
            // It closes each connection at once.
            std::thread::spawn(move || listener.incoming().for_each(drop));
            let agent = ureq::Agent::config_builder().tls_config(tls_for(&url)).build().new_agent();
            agent.get(&url).call().unwrap_err();
        }
    }
}
