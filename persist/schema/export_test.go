package schema

// MigrateFiles is Migrate with other migrations than ours, for tests.
var MigrateFiles = migrate

// MigrationLock is the advisory lock of whoever migrates.
const MigrationLock = migrationLock
