//! Causes of build cache failures.

pages! {
    MISSING = "cache/missing" {
        title: "Build failed: CacheMissing",
        meaning: "The bucket or registry lost a part of the build cache that the build needed.",
        fixes: ["Build once without this cache, which rewrites it"],
    }
    UNREADABLE = "cache/unreadable" {
        title: "Build failed: CacheUnreadable",
        meaning: "The build cache's server denies access, or returns different bytes than were written.",
        fixes: [
            "Build without this cache",
            "Check the cache's keys, and that the daemon can reach its server",
        ],
    }
    SILENT = "cache/silent" {
        title: "Build failed: CacheSilent",
        meaning: "The build cache's server accepts connections but never responds. It stalls every build of the daemon until it responds or hangs up.",
        fixes: [
            "Check the cache's server",
            "Build without this cache, on another daemon",
        ],
    }
    UNWRITABLE = "cache/unwritable" {
        title: "Build failed: CacheUnwritable",
        meaning: "The daemon doesn't support this kind of cache or one of its settings, or the cache's server doesn't accept it.",
        fixes: ["Correct the cache in the build's configuration, or build without it"],
    }
    COLLECT_STORE = "cache/collect-store" {
        title: "Cache collection failed: StoreError",
        meaning: "The build cache's server failed during the collection.",
        fixes: ["Run the collection again; it resumes where it stopped"],
    }
    COLLECT_DENIED = "cache/collect-denied" {
        title: "Cache collection failed: Denied",
        meaning: "The keys are wrong or expired, or can't list, read, write and delete in the bucket.",
        fixes: ["Give the keys s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject below the cache's prefix"],
    }
    COLLECT_NO_BUCKET = "cache/collect-no-bucket" {
        title: "Cache collection failed: NoBucket",
        meaning: "The build cache's server has no such bucket.",
        fixes: ["Check the bucket's name and the server's address"],
    }
    COLLECT_CLOCK = "cache/collect-clock" {
        title: "Cache collection failed: ClockSkew",
        meaning: "The clocks of this machine and of the cache's server differ, so the ages of objects would be wrong and a running build could lose its cache.",
        fixes: [
            "Set the clock of this machine (NTP)",
            "Raise the policy's clock_skew if the server's clock is the wrong one",
        ],
    }
    COLLECT_SETTINGS = "cache/collect-settings" {
        title: "Cache collection failed: InvalidSettings",
        meaning: "The cache's settings don't name a bucket that this machine can reach.",
        fixes: ["Set the cache's bucket, region and keys"],
    }
}
