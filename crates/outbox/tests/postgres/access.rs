//! Wrong settings and missing rights: one clear error each, without the password.

use pushslots_outbox::{Outbox, OutboxError, PostgresConfig};

use crate::database::{Database, message, outbox, server, service};

/// Opens an outbox, and returns the text of the error.
async fn error_of(url: &str) -> String {
    let config = match PostgresConfig::new(url) {
        Ok(config) => config,
        Err(error) => return error.to_string(),
    };
    match Outbox::builder().postgres(&config).await {
        Ok(_) => "no error".to_owned(),
        Err(error) => {
            assert!(matches!(error, OutboxError::Configuration(_)), "{error:?}");
            error.to_string()
        }
    }
}

#[track_caller]
fn assert_names(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{part:?} is missing: {error}");
    }
    assert!(!error.contains("s3cret"), "{error}");
    assert!(error.len() < 1_000, "{error}");
}

#[tokio::test]
async fn wrong_credentials_database_host_or_string() {
    let Some(database) = Database::create().await else { return };
    let port = server().unwrap().port();
    let url = |user: &str, database: &str| {
        format!("postgresql://{user}:s3cret@127.0.0.1:{port}/{database}")
    };
    let error = error_of(&url("postgres", &database.name)).await;
    assert_names(&error, &["postgres", "28P01", "password in the connection string", "127.0.0.1"]);
    let good = |name: &str| database.url.replace(&database.name, name);
    assert_names(&error_of(&good("missing")).await, &["missing", "3D000"]);
    let closed = format!("postgresql://postgres:s3cret@127.0.0.1:1/{}", database.name);
    assert_names(&error_of(&closed).await, &["127.0.0.1", "port 1", "onnect"]);
    assert_names(
        &error_of("postgresql://u:s3cret@h/d?sslmoed=x").await,
        &["connection string", "sslmoed"],
    );
    assert_names(&error_of("s3cret").await, &["connection string"]);
}

#[tokio::test]
async fn missing_older_and_newer_schema() {
    let Some(database) = Database::create().await else { return };
    let server = server().unwrap();
    let empty = server.create_database();
    assert_names(&error_of(&server.url(&empty)).await, &["pushslots doesn't exist", "migrate"]);

    // Migrating again changes nothing.
    database.config().migrate().await.unwrap();
    database.psql("update pushslots.meta set version = 0");
    assert_names(&error_of(&database.url).await, &["version 0", "needs 1", "migrate"]);
    database.psql("update pushslots.meta set version = 9, required = 9");
    assert_names(
        &error_of(&database.url).await,
        &["version 9", "only knows 1", "update the program"],
    );
    // A later version that earlier programs can use.
    database.psql("update pushslots.meta set version = 9, required = 1");
    assert_eq!(error_of(&database.url).await, "no error");
}

#[tokio::test]
async fn roles_have_only_their_rights() {
    let Some(database) = Database::create().await else { return };
    let (enqueuer, worker, nobody) = (
        format!("enqueuer_{}", database.name),
        format!("worker_{}", database.name),
        format!("nobody_{}", database.name),
    );
    for role in [&enqueuer, &worker, &nobody] {
        database.psql(&format!("create role {role} login password 's3cret'"));
    }
    database.psql(&format!(
        "select pushslots.grant_enqueuer('{enqueuer}'), pushslots.grant_worker('{worker}')"
    ));
    let port = server().unwrap().port();
    let url = |role: &str| format!("postgresql://{role}:s3cret@127.0.0.1:{port}/{}", database.name);
    assert_names(&error_of(&url(&nobody)).await, &["42501", "grant_worker"]);

    let service = service();
    let config = PostgresConfig::new(url(&enqueuer)).unwrap();
    let adding = outbox(&service, &config).await;
    let entry = adding.enqueue(&message()).await.unwrap();
    let error = adding.stats().await.unwrap_err();
    assert_names(&error.to_string(), &["42501", "grant_worker"]);
    let forbidden = adding.cancel(entry.message_id()).await.unwrap_err();
    assert_names(&forbidden.to_string(), &["42501"]);
    for sql in [
        "select * from pushslots.entry",
        "select * from pushslots.body",
        "select pushslots.summary()",
    ] {
        let (vendor, connection) =
            tokio_postgres::connect(&url(&enqueuer), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let error = vendor.batch_execute(sql).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{sql}");
    }

    let config = PostgresConfig::new(url(&worker)).unwrap();
    let working = outbox(&service, &config).await;
    let client = crate::database::client(&service);
    let _worker = working.worker(&client).start().unwrap();
    crate::database::soon(working.wait_for(entry.message_id())).await.unwrap();
    assert_eq!(working.stats().await.unwrap().accepted, 1);
}

#[tokio::test]
async fn tls_is_required_except_on_this_machine() {
    let remote = "postgresql://u:s3cret@db.example.com/d?sslmode=disable";
    assert_names(&error_of(remote).await, &["sslmode=disable", "allow_plaintext"]);
    let Some(database) = Database::create().await else { return };
    // The server has no TLS.
    let error = error_of(&format!("{}?sslmode=require", database.url)).await;
    assert_names(&error, &["TLS", "turn it on in the server"]);
}

#[tokio::test]
async fn read_only_server() {
    let Some(database) = Database::create().await else { return };
    database
        .psql(&format!("alter database {} set default_transaction_read_only = on", database.name));
    let error = error_of(&database.url).await;
    assert_names(&error, &["read-only", "primary"]);
}
