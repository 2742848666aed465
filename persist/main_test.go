package persist_test

import (
	"os"
	"testing"

	"syncer/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { os.Exit(sandboxtest.SideBySideIfShort(m)) }
