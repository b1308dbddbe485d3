//! An S3-compatible store of one's own: moto's, with signatures checked by botocore.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) const BUCKET: &str = "faq-test";
pub(crate) const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A store on this machine, which ends with this value.
pub(crate) struct Store {
    process: Child,
    pub(crate) endpoint: String,
}

impl Store {
    pub(crate) fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = Command::new(root.join("../scripts/python-env"))
            .arg("s3")
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(python.status.success(), "no Python for the S3 store");
        let python = String::from_utf8(python.stdout).unwrap();
        let mut process = Command::new(python.trim())
            .arg(root.join("tests/s3_store.py"))
            .args([BUCKET, ACCESS_KEY, SECRET_KEY])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut endpoint = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut endpoint)
            .unwrap();
        assert!(endpoint.starts_with("http://127.0.0.1:"), "{endpoint:?}");
        Self {
            process,
            endpoint: endpoint.trim().to_owned(),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
