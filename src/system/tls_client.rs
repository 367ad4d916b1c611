//! TLS of the requests that this program sends: rustls with the certificates that the system trusts.

use std::sync::{Arc, LazyLock};

use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::{CertificateError, Error as RustlsError};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// Why TLS with a server failed, in words that lead on; `None` where TLS is not the cause.
pub fn tls_failure(error: &ureq::Error) -> Option<String> {
    let error = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref::<RustlsError>()?,
        _ => return None,
    };
    Some(match error {
        RustlsError::InvalidCertificate(refused) => certificate_failure(refused),
        RustlsError::InvalidMessage(_) => "the server does not speak TLS; name it with http://".to_owned(),
        other => format!("TLS failed: {other}"),
    })
}

fn certificate_failure(refused: &CertificateError) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };
    let (cause, remedy) = match refused {
        UnknownIssuer => (
            "this machine does not trust who signed it",
            "install the system's certificates (Debian: ca-certificates), or name those of a private authority, or the self-signed certificate itself, in PEM with SSL_CERT_FILE",
        ),
        // `webpki` has no constant for it in rustls.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => (
            "it is that of an authority (CA:TRUE), which no server may use",
            "sign another for the server with it, or make a self-signed one with CA:FALSE (docs/operations.md, TLS)",
        ),
        // The signature fits no trusted key: none signed it, or one of that name, and the server's was made again.
        BadSignature => (
            "no certificate that is trusted here signed it, perhaps since the server has a new one",
            "name the one that the server has now, or that of the authority that signed it, in PEM with SSL_CERT_FILE",
        ),
        NotValidForName | NotValidForNameContext { .. } => {
            ("it is for another name", "name the server by a name that its certificate has")
        }
        Expired | ExpiredContext { .. } => ("it has expired", "renew it on the server"),
        NotValidYet | NotValidYetContext { .. } => ("it is not valid yet", "set the clocks of both machines"),
        _ => return format!("the certificate of the server is refused: {refused}; give the server another"),
    };
    format!("the certificate of the server is refused: {cause}; {remedy}")
}

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
        tracing::warn!(
            "trusted certificates (SSL_CERT_FILE, SSL_CERT_DIR, or those of the system) cannot be read: {error}"
        );
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
