//! TLS: the certificate and its key, which are read again when their files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error as RustlsError, InconsistentKeys, ServerConfig};

/// The files of a certificate, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate first, then those that lead to the root.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The certificate in use; new connections get that of the last successful reload.
pub struct Tls {
    files: TlsFiles,
    acceptor: TlsAcceptor,
    in_use: Arc<InUse>,
}

#[derive(Debug)]
struct InUse(ArcSwap<CertifiedKey>);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: the {what} cannot be read: {source}", path.display())]
    Unreadable { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{}: there is no certificate in PEM in it (`-----BEGIN CERTIFICATE-----`)", .0.display())]
    NoCertificate(PathBuf),
    #[error("{}: it holds no unencrypted private key in PEM; decrypt one with `openssl pkey -in KEY -out PLAIN`", .0.display())]
    NoKey(PathBuf),
    #[error("{}: this is not PEM: {source}", path.display())]
    Pem { path: PathBuf, source: PemError },
    #[error("{} is not the key of the certificate in {}", .0.key.display(), .0.certificate.display())]
    WrongKey(TlsFiles),
    #[error("{} and {} cannot be used: {source}", files.certificate.display(), files.key.display())]
    Unusable { files: TlsFiles, source: RustlsError },
}

impl Tls {
    /// Reads the files.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let in_use = Arc::new(InUse(ArcSwap::new(certified_key(&files, &provider)?)));
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config
            .map_err(|source| TlsError::Unusable { files: files.clone(), source })?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&in_use) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { files, acceptor: TlsAcceptor::from(Arc::new(config)), in_use })
    }

    /// Reads the files again. When they are of no use, the certificate stays. Returns whether it is another.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let new = certified_key(&self.files, &ring::default_provider())?;
        let old = self.in_use.0.swap(Arc::clone(&new));
        Ok(old.cert != new.cert)
    }

    /// Reads the files again whenever they change, for as long as it is polled.
    pub async fn follow_files(&self, interval: Duration) {
        // They may have changed since they were read.
        let mut seen = [None, None];
        loop {
            tokio::time::sleep(interval).await;
            let found = self.contents();
            if found == seen {
                continue;
            }
            seen = found;
            self.reload_logged();
        }
    }

    /// Reads the files again and logs what came of it.
    pub fn reload_logged(&self) {
        let certificate = self.files.certificate.display();
        match self.reload() {
            Ok(true) => tracing::info!(%certificate, "the new TLS certificate is in use"),
            Ok(false) => tracing::debug!(%certificate, "the TLS certificate is the same"),
            // Until both files are written, they do not fit together.
            Err(error) => tracing::error!(%error, "the TLS certificate cannot be reloaded; the old one stays in use"),
        }
    }

    pub fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// What the files hold. They are small. A change can keep a file's time and number, so the contents are compared.
    fn contents(&self) -> [Option<Vec<u8>>; 2] {
        [&self.files.certificate, &self.files.key].map(|path| std::fs::read(path).ok())
    }
}

impl ResolvesServerCert for InUse {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// A certificate with its key.
fn certified_key(files: &TlsFiles, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
    let (path, pem) = (&files.certificate, read("certificate", &files.certificate)?);
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|source| TlsError::Pem { path: path.clone(), source })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate(path.clone()));
    }
    let key = PrivateKeyDer::from_pem_slice(&read("key", &files.key)?).map_err(|error| match error {
        PemError::NoItemsFound => TlsError::NoKey(files.key.clone()),
        source => TlsError::Pem { path: files.key.clone(), source },
    })?;
    CertifiedKey::from_der(certificates, key, provider).map(Arc::new).map_err(|error| match error {
        RustlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::WrongKey(files.clone()),
        source => TlsError::Unusable { files: files.clone(), source },
    })
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { what, path: path.to_owned(), source })
}
