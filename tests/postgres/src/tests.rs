//! Tests of the servers themselves.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::supervisor::has_ended;
use crate::{PgBouncer, PostgresServer, psql};

/// Makes the test `child` start a server and then sleep or exit.
const CHILD: &str = "PUSHSLOTS_TEST_CHILD";

#[test]
fn runs_sql_over_the_socket_over_tcp_and_through_pgbouncer() {
    let Some(server) = PostgresServer::start() else { return };
    let database = server.create_database();
    assert_ne!(server.create_database(), database);
    server.psql(&database, "CREATE TABLE words (word text); INSERT INTO words VALUES ('é|')");
    let over_tcp = psql::run(server.programs(), &server.url(&database), "TABLE words");
    assert_eq!(over_tcp, "é|");

    let long = format!("SELECT length('{}')", "x".repeat(1_000_000));
    assert_eq!(server.psql(&database, &long), "1000000");
    assert_eq!(server.psql(&database, "SHOW fsync; SHOW ssl; SHOW timezone"), "on\noff\nUTC");

    let Some(bouncer) = PgBouncer::start(&server) else { return };
    assert_eq!(bouncer.psql(&database, "TABLE words"), "é|");
    let pools = bouncer.psql("pgbouncer", "SHOW POOLS");
    assert!(pools.contains(&format!("{database}|postgres|")), "{pools}");
    assert!(pools.contains("|transaction"), "{pools}");
}

#[test]
fn rejects_a_wrong_password() {
    let Some(server) = PostgresServer::start() else { return };
    let url = server.url("postgres").replace(server.password(), "wrong");
    let failure = std::panic::catch_unwind(|| psql::run(server.programs(), &url, "SELECT 1"))
        .expect_err("the password is wrong");
    let message = failure.downcast_ref::<String>().expect("the panic has a message");
    assert!(message.contains("password authentication failed"), "{message}");
}

#[test]
fn runs_two_servers_with_their_own_settings() {
    let Some(one) = PostgresServer::start_with(&[("max_connections", "7")]) else { return };
    let two = PostgresServer::start_with(&[("application_name", r"it's a \ name")])
        .expect("the first server started");
    assert_ne!(one.port(), two.port());
    assert_eq!(one.psql("postgres", "SHOW max_connections"), "7");
    assert_eq!(two.psql("postgres", "SHOW max_connections"), "400");
    let setting = "SELECT reset_val FROM pg_settings WHERE name = 'shared_buffers'";
    assert_eq!(two.psql("postgres", setting), (128 * 1024 / 8).to_string());
}

#[test]
fn accepts_tls_with_the_given_certificate() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let Some(server) = PostgresServer::start_with_tls(&certificate, &key, &[]) else { return };
    let file = std::env::temp_dir().join(format!("pushslots-{}.crt", server.port()));
    std::fs::write(&file, certificate).unwrap();
    let url = format!(
        "postgresql://postgres:{}@localhost:{}/postgres?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={}",
        server.password(),
        server.port(),
        file.display()
    );
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(psql::run(server.programs(), &url, sql), "t");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn keeps_committed_data_through_a_crash_and_a_stop() {
    let Some(server) = PostgresServer::start_with(&[("log_min_messages", "log")]) else { return };
    let (port, pid) = (server.port(), server.pid());
    server.psql("postgres", "CREATE TABLE numbers AS SELECT generate_series(1, 1000) AS number");

    server.restart_immediately(Duration::from_millis(100));
    assert!(has_ended(pid));
    assert_eq!(server.port(), port);
    assert_eq!(server.psql("postgres", "SELECT count(*) FROM numbers"), "1000");
    assert!(server.log().contains("was not properly shut down"), "{}", server.log());

    server.stop();
    assert!(std::net::TcpStream::connect(server.address()).is_err());
    server.start_again();
    assert_eq!(server.psql("postgres", "SELECT count(*) FROM numbers"), "1000");
}

#[test]
fn a_drop_stops_the_server_and_removes_its_directory() {
    let Some(server) = PostgresServer::start() else { return };
    let (pid, directory) = (server.pid(), server.directory().to_owned());
    assert!(!has_ended(pid) && directory.exists());
    drop(server);
    assert!(has_ended(pid) && !directory.exists());
}

#[test]
fn a_killed_test_process_leaves_no_server_and_no_directory() {
    let Some((mut child, pid, directory)) = start_child("sleep") else { return };
    assert!(!has_ended(pid) && directory.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for_end(pid, &directory);
}

#[test]
fn a_server_in_a_static_ends_with_the_test_process() {
    let Some((mut child, pid, directory)) = start_child("exit") else { return };
    assert!(child.wait().unwrap().success());
    wait_for_end(pid, &directory);
}

/// Runs in another process, for the two tests above.
#[test]
fn child() {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    let Ok(then) = std::env::var(CHILD) else { return };
    let Some(server) = SERVER.get_or_init(PostgresServer::start) else { return };
    let (pid, directory) = (server.pid(), server.directory().display());
    writeln!(std::io::stdout(), "\nserver {pid} {directory}").unwrap();
    if then == "sleep" {
        thread::sleep(Duration::from_secs(60));
    }
}

/// Starts the test `child` in another process, and returns its server's process id and directory.
fn start_child(then: &str) -> Option<(Child, u32, PathBuf)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::child", "--nocapture"])
        .env(CHILD, then)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        if let Some(rest) = line.trim_end().strip_prefix("server ") {
            let (pid, directory) = rest.split_once(' ').unwrap();
            // The child still writes to the pipe.
            child.stdout = Some(output.into_inner());
            return Some((child, pid.parse().unwrap(), directory.into()));
        }
        line.clear();
    }
    assert!(child.wait().unwrap().success(), "the child skips its test if there is no PostgreSQL");
    None
}

fn wait_for_end(pid: u32, directory: &Path) {
    let begun = Instant::now();
    while !has_ended(pid) || directory.exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "process {pid}, {}",
            directory.display()
        );
        thread::sleep(Duration::from_millis(20));
    }
}
