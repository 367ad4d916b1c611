//! TLS: the same limits as without it, and certificates that change while the server runs.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ressort::http::{ServerSettings, Tls, TlsFiles};
use serde_json::json;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::classify::until;
use crate::cli::{model, ressort};
use crate::connections::{HALF_HEAD, PATIENT, SHORT, Served, classify_request, is_closed};

type Client = StreamOwned<ClientConnection, TcpStream>;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

fn files(name: &str) -> TlsFiles {
    TlsFiles { certificate: file(&format!("{name}.pem")), key: file(&format!("{name}.key")) }
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(&format!("{name}.pem"))).unwrap()
}

async fn served(model: &str, settings: ServerSettings) -> Served {
    Served::under_tls(model, settings, Some(Arc::new(Tls::load(files("server")).unwrap()))).await
}

/// A client over `socket` that trusts both certificates of the tests.
fn client(socket: TcpStream) -> Client {
    let mut roots = RootCertStore::empty();
    ["server", "other"].into_iter().for_each(|name| roots.add(certificate(name)).unwrap());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = Arc::new(config.with_no_client_auth());
    StreamOwned::new(ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap(), socket)
}

fn connect(served: &Served, bytes: &[u8]) -> Client {
    let mut client = client(served.connect(b""));
    client.write_all(bytes).unwrap();
    client.flush().unwrap();
    client
}

fn read_all(mut client: Client) -> String {
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

/// The certificate that a new connection gets.
fn presented(served: &Served) -> CertificateDer<'static> {
    let client = connect(served, HALF_HEAD);
    client.conn.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_under_tls_and_in_the_clear_they_are_not() {
    let served = served("lexicon-ner", PATIENT).await;
    let mut kept = connect(&served, b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut start = [0; 15];
    kept.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    let long = "Angela Merkel reiste nach Paris. ".repeat(2_000);
    let answer = read_all(connect(&served, &classify_request(&json!({"text": long}))));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with('}'), "{}", &answer[..200]);
    let mut plain = served.connect(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    drop(kept);
    tokio::time::timeout(Duration::from_secs(60), served.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_and_the_head_after_it_are_limited() {
    let served = served("lexicon-ner", ServerSettings { head_timeout: SHORT, ..PATIENT }).await;
    assert!(is_closed(&mut served.connect(b"")), "no handshake");
    // The first bytes of a record of a handshake.
    assert!(ends(&mut served.connect(b"\x16\x03\x01\x02\x00\x01")), "half a handshake");
    assert!(ends(&mut connect(&served, HALF_HEAD)), "half a head");
}

/// Whether the server ends the connection, with or without an alert.
fn ends(client: &mut impl Read) -> bool {
    let mut rest = Vec::new();
    match client.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_shake_no_hands_keep_nobody_out() {
    let served = served("lexicon-ner", ServerSettings { max_connections: 4, ..PATIENT }).await;
    let _silent: Vec<TcpStream> = (0..12).map(|_| served.connect(b"\x16\x03\x01")).collect();
    let answer = read_all(connect(&served, &classify_request(&json!({"text": "Angela Merkel"}))));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_sending_gets_its_answer() {
    let served = served("bert-cased-ner", PATIENT).await;
    for says_so in [true, false] {
        let text = format!("{says_so} {}", "Angela Merkel reiste nach Paris. ".repeat(100));
        let mut client = connect(&served, &classify_request(&json!({"text": text})));
        if says_so {
            client.conn.send_close_notify();
            client.conn.write_tls(&mut client.sock).unwrap();
        }
        client.sock.shutdown(Shutdown::Write).unwrap();
        let answer = read_all(client);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with('}'), "{says_so}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_of_a_client_that_is_gone_ends() {
    let served = served("bert-cased-ner", PATIENT).await;
    let client =
        connect(&served, &classify_request(&json!({"text": "Angela Merkel reiste nach Paris. ".repeat(5_000)})));
    until("the document waits", || served.n_waiting() > 0).await;
    drop(client);
    until("its windows are gone", || served.n_waiting() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_nothing_is_disconnected() {
    let served = served("lexicon-ner", ServerSettings { stall_timeout: SHORT, ..PATIENT }).await;
    let mut client = connect(&served, b"");
    client.sock.set_write_timeout(Some(SHORT)).unwrap();
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(2_000);
    // It fails where the server, which nobody reads, takes no more.
    let _ = client.write_all(requests.as_bytes());
    tokio::time::timeout(Duration::from_secs(60), served.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_connections_get_the_new_certificate_and_a_wrong_one_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { certificate: folder.path().join("tls.pem"), key: folder.path().join("tls.key") };
    let put = |certificate: &str, key: &str| {
        std::fs::copy(file(certificate), &files.certificate).unwrap();
        std::fs::copy(file(key), &files.key).unwrap();
    };
    put("server.pem", "server.key");
    let tls = Arc::new(Tls::load(files.clone()).unwrap());
    let served = Served::under_tls("lexicon-ner", PATIENT, Some(Arc::clone(&tls))).await;
    let followed = Arc::clone(&tls);
    let following = tokio::spawn(async move { followed.follow_files(Duration::from_millis(5)).await });
    assert_eq!(presented(&served), certificate("server"));
    put("other.pem", "other.key");
    until("the files are read again", || presented(&served) == certificate("other")).await;
    following.abort();
    put("server.pem", "other.key");
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("tls.key is not the key of the certificate in"), "{error}");
    std::fs::remove_file(&files.certificate).unwrap();
    assert!(tls.reload().is_err());
    assert_eq!(presented(&served), certificate("other"));
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let encrypted = folder.path().join("encrypted.key");
    std::fs::write(&encrypted, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n")
        .unwrap();
    let encrypted = encrypted.to_string_lossy().into_owned();
    let path = |name: &str| file(name).to_string_lossy().into_owned();
    for (certificate, key, parts) in [
        (path("server.pem"), path("other.key"), ["other.key is not the key of the certificate in", "server.pem"]),
        (path("server.key"), path("server.key"), ["server.key: there is no certificate", "BEGIN CERTIFICATE"]),
        (path("server.pem"), path("server.pem"), ["server.pem: it holds no unencrypted private key", "openssl pkey"]),
        (path("server.pem"), encrypted, ["encrypted.key: it holds no unencrypted private key", "openssl pkey"]),
        (
            "/nowhere.pem".to_owned(),
            path("server.key"),
            ["/nowhere.pem: the certificate cannot be read", "No such file"],
        ),
    ] {
        let args = ["serve", "--port", "0", "--model", &model("lexicon-ner")];
        let mut command = ressort();
        let output = command.args(args).args(["--tls-certificate", &certificate, "--tls-key", &key]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let output = ressort().args(["serve", "--tls-key", "x"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("--tls-key needs --tls-certificate"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn hangup_reloads_keys_limits_and_certificate_and_names_what_needs_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ressort.toml");
    let log = folder.path().join("log");
    let put = |certificate: &str| {
        std::fs::copy(file(&format!("{certificate}.pem")), folder.path().join("tls.pem")).unwrap();
        std::fs::copy(file(&format!("{certificate}.key")), folder.path().join("tls.key")).unwrap();
    };
    let write = |key: &str, more: &str| {
        let (at, hash) = (folder.path().display(), ressort::http::KeyHash::of(key));
        let text = format!(
            "tls_certificate = \"{at}/tls.pem\"\ntls_key = \"{at}/tls.key\"\nproviders = \"cpu\"\nport = 0\nmodel = \"{}\"\n{more}\n[[keys]]\nname = \"a\"\nhash = \"{hash}\"\n",
            model("lexicon-ner")
        );
        std::fs::write(&config, text).unwrap();
    };
    put("server");
    write("alt", "");
    let mut command = ressort();
    command.args(["serve", "--config"]).arg(&config).stdout(Stdio::piped());
    let mut process = command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(process.stdout.take().unwrap()), &mut line).unwrap();
    let address = line.split("https://").nth(1).unwrap_or_else(|| panic!("{line}")).split(' ').next().unwrap();
    let status = |key: &str| {
        let mut client = client(TcpStream::connect(address).unwrap());
        let body = "{\"text\": \"Berlin\"}";
        let head =
            "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json";
        write!(client, "{head}\r\ncontent-length: {}\r\nauthorization: Bearer {key}\r\n\r\n{body}", body.len())
            .unwrap();
        let certificate = client.conn.peer_certificates().map(|list| list[0].clone().into_owned());
        (read_all(client)[9..12].to_owned(), certificate)
    };
    let hangup = || {
        let kill = std::process::Command::new("kill").args(["-HUP", &process.id().to_string()]).status();
        assert!(kill.unwrap().success());
    };
    let logged = |part: &str| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !std::fs::read_to_string(&log).unwrap().contains(part) {
            assert!(Instant::now() < deadline, "{part} is missing in {}", std::fs::read_to_string(&log).unwrap());
            std::thread::yield_now();
        }
    };
    assert_eq!((status("alt").0.as_str(), status("neu").0.as_str()), ("200", "401"));
    put("other");
    write("neu", "cache_mb = 3\nmax_characters = 5");
    hangup();
    logged("needs_restart=\"cache_mb\"");
    logged("the new TLS certificate is in use");
    assert_eq!(status("alt").0, "401", "a key that is removed is revoked");
    assert_eq!(status("neu"), ("413".to_owned(), Some(certificate("other"))), "the text is longer than the new limit");
    write("neu", "max_charcters = 5");
    hangup();
    logged("the key `max_charcters` is unknown");
    assert_eq!(status("neu").0, "413", "the old configuration stays in use");
    process.kill().unwrap();
    process.wait().unwrap();
}
