//! A disk that is full: a typed error, reads go on, and writes go on once there is space.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use faq_index::{Access, Collection, CollectionConfig, IndexError};

use crate::support::*;

/// A small file system of its own, until it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(bytes: usize) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(dir.path())
            .output();
        done.is_ok_and(|output| output.status.success())
            .then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

#[test]
fn a_full_disk_is_named_and_costs_nothing_but_the_write() {
    let Some(disk) = SmallDisk::mount(6 << 20) else {
        println!("SKIPPED: this user may not mount a small disk");
        return;
    };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 3 << 20]).unwrap();
    let dir = disk.path().join("collection");
    let collection = open(&dir);
    let filler = "filler ".repeat(3000);
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for n in 1..=1000 {
        match collection.write(upsert([document(n, &["common", &filler])])) {
            Ok(_) => acknowledged.push(n),
            Err(error) => {
                assert!(matches!(error, IndexError::DiskFull { .. }), "{error}");
                assert!(error.is_retryable());
                refused += 1;
                if refused == 5 {
                    break;
                }
            }
        }
        assert_eq!(dense(&collection, vector_of(1, 0), 1), [id(1)]);
    }
    assert_eq!(refused, 5, "the disk was never full");
    assert!(acknowledged.len() > 5);
    for &n in &acknowledged {
        assert_eq!(dense(&collection, vector_of(n, 0), 1), [id(n)]);
        assert!(collection.document(id(n)).unwrap().is_some());
    }
    fs::remove_file(ballast).unwrap();
    collection
        .write(upsert([document(5000, &["common", "afterwards"])]))
        .unwrap();
    acknowledged.push(5000);
    assert_eq!(keyword(&collection, "afterwards"), [id(5000)]);
    drop(collection);
    let collection = open(&dir);
    let found = keyword(&collection, "common");
    for &n in &acknowledged {
        assert!(found.contains(&id(n)), "{n} was acknowledged");
        assert_eq!(dense(&collection, vector_of(n, 0), 1), [id(n)]);
    }
}

#[test]
fn a_collection_on_a_full_disk_is_opened_for_reading() {
    let Some(disk) = SmallDisk::mount(6 << 20) else {
        println!("SKIPPED: this user may not mount a small disk");
        return;
    };
    let dir = disk.path().join("collection");
    let collection = open(&dir);
    collection
        .write(upsert([document(1, &["common", "words"])]))
        .unwrap();
    drop(collection);
    let ballast = disk.path().join("ballast");
    let mut filling = fs::File::create(&ballast).unwrap();
    while filling.write_all(&[1; 4096]).is_ok() {}
    drop(filling);
    let error = Collection::open(&dir, config()).unwrap_err();
    assert!(matches!(error, IndexError::DiskFull { .. }), "{error}");
    let access = Access::ReadOnly;
    let reader = Collection::open(&dir, CollectionConfig { access, ..config() }).unwrap();
    assert_eq!(keyword(&reader, "common"), [id(1)]);
    assert_eq!(dense(&reader, vector_of(1, 0), 1), [id(1)]);
    drop(reader);
    fs::remove_file(ballast).unwrap();
    assert_eq!(keyword(&open(&dir), "common"), [id(1)]);
}
