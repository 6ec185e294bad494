//! What kind of file system a path is on: whether its files are this machine's alone.
//!
//! SQLite's write-ahead log needs memory that all its users share, which only a file system of this machine gives. One of
//! which nothing is known (FUSE, where anything may be behind) counts as a network's: what is done then is slower, and
//! never wrong.

use std::path::Path;

use rustix::io::Errno;

/// Numbers that statfs(2) gives in `f_type`.
const NETWORK: &[(u32, &str)] = &[
    (0x0000_517B, "smb"),
    (0x0000_564C, "ncp"),
    (0x0000_6969, "nfs"),
    (0x00C3_6400, "ceph"),
    (0x0102_1997, "9p"),
    (0x0116_1970, "gfs2"),
    (0x0131_11A8, "ibrix"),
    (0x0BD0_0BD0, "lustre"),
    (0x1983_0326, "beegfs"),
    (0x2003_0528, "orangefs"),
    (0x4750_4653, "gpfs"),
    (0x5346_414F, "afs"),
    (0x6163_6673, "acfs"),
    (0x6573_5546, "fuse"),
    (0x6B41_4653, "kafs"),
    (0x7375_7245, "coda"),
    (0x7461_636F, "ocfs2"),
    // Folders of the host in a virtual machine: other machines write there, too.
    (0x786F_4256, "vboxsf"),
    (0x7C7C_6673, "prl_fs"),
    (0xA501_FCF5, "vxfs"),
    (0xAAD7_AAEA, "panfs"),
    (0xBACB_ACBC, "vmhgfs"),
    (0xBEEF_DEAD, "snfs"),
    (0xFE53_4D42, "smb2"),
    (0xFF53_4D42, "cifs"),
];

/// True where other machines may use the same files, or where that is not known. A path that does not exist yet is on the
/// file system of the folder that it will be in.
pub fn is_network(path: &Path) -> bool {
    for place in path.ancestors() {
        let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
        match rustix::fs::statfs(place) {
            // Wider on some machines, and with a sign: the number itself has these bits.
            Ok(found) => return is_of_network(found.f_type as u32),
            Err(Errno::NOENT) => {}
            Err(_) => return true,
        }
    }
    true
}

fn is_of_network(magic: u32) -> bool {
    NETWORK.iter().any(|(known, _)| *known == magic)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{NETWORK, is_network, is_of_network};

    #[test]
    fn file_systems_of_other_machines_are_known_by_their_numbers() {
        let network = [
            libc::NFS_SUPER_MAGIC,
            libc::SMB_SUPER_MAGIC,
            libc::NCP_SUPER_MAGIC,
            libc::CODA_SUPER_MAGIC,
            libc::AFS_SUPER_MAGIC,
            libc::FUSE_SUPER_MAGIC,
            // CIFS, SMB2, Ceph, Lustre, GPFS, 9p, OCFS2, GFS2, BeeGFS.
            0xFF53_4D42,
            0xFE53_4D42,
            0x00C3_6400,
            0x0BD0_0BD0,
            0x4750_4653,
            0x0102_1997,
            0x7461_636F,
            0x0116_1970,
            0x1983_0326,
        ];
        for magic in network {
            assert!(is_of_network(magic as u32), "{magic:x}");
        }
        let local = [
            libc::EXT4_SUPER_MAGIC,
            libc::XFS_SUPER_MAGIC,
            libc::BTRFS_SUPER_MAGIC,
            libc::F2FS_SUPER_MAGIC,
            libc::TMPFS_MAGIC,
            libc::OVERLAYFS_SUPER_MAGIC,
            // ZFS, bcachefs.
            0x2FC1_2FC1,
            0xCA45_1A4E,
        ];
        for magic in local {
            assert!(!is_of_network(magic as u32), "{magic:x}");
        }
    }

    #[test]
    fn each_number_and_each_name_stands_once_in_order() {
        assert!(NETWORK.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let mut names: Vec<_> = NETWORK.iter().map(|(_, name)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NETWORK.len());
    }

    #[test]
    fn what_does_not_exist_yet_is_where_it_will_be() {
        assert!(!is_network(Path::new("/proc")));
        assert!(!is_network(Path::new("/proc/no/such/folder")));
        assert_eq!(is_network(Path::new("no/such/file")), is_network(Path::new(".")));
    }
}
