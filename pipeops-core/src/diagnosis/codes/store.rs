//! Causes of failures of the store.

pages! {
    LEASE_LOST = "store/lease-lost" {
        title: "Storage failed: LeaseLost",
        meaning: "Another runner claimed the deployment, or it has ended. Writes of the former runner are refused.",
        fixes: ["Nothing to do: the other runner continues from the last finished step"],
    }
    OPEN = "store/open" {
        title: "Storage failed: DatabaseUnavailable",
        meaning: "The file of the database can neither be opened nor created.",
        fixes: [
            "Check that the folder exists, that it can be written, and that the disk is not full",
        ],
    }
    NEWER_SCHEMA = "store/newer-schema" {
        title: "Storage failed: NewerSchema",
        meaning: "The schema of the database is newer than this program knows.",
        fixes: ["Run the newest version on all machines that share the database"],
    }
    DATABASE = "store/database" {
        title: "Storage failed: DatabaseError",
        meaning: "The database did not complete an operation. PipeOps retries.",
        fixes: ["Check that the disk is not full"],
    }
    CORRUPT = "store/corrupt" {
        title: "Storage failed: CorruptData",
        meaning: "The database answers, but a stored value does not have the expected form.",
        fixes: ["Restore the database from a backup"],
    }
    BAD_KEY = "store/bad-key" {
        title: "Storage failed: InvalidKey",
        meaning: "The key for secrets must be the base64 of 32 bytes.",
        fixes: ["Set PIPEOPS_KEY to the output of `openssl rand -base64 32`, once, and keep it"],
    }
    KEY_FILE = "store/key-file" {
        title: "Storage failed: KeyFileUnusable",
        meaning: "The file with the key for secrets can neither be read nor created.",
        fixes: ["Make the key file readable for this user, or set PIPEOPS_KEY"],
    }
    WRONG_KEY = "store/wrong-key" {
        title: "Storage failed: WrongKey",
        meaning: "The key in use does not decrypt the stored secrets, or they were changed.",
        fixes: [
            "Restore the key file or the PIPEOPS_KEY that this database was created with",
            "Or set the project's secrets again",
        ],
    }
    NO_RANDOMNESS = "store/no-randomness" {
        title: "Storage failed: NoRandomness",
        meaning: "The operating system gave no random numbers for encryption.",
        fixes: ["Check that /dev/urandom can be read"],
    }
}
