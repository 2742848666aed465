package persist_test

import (
	"os"
	"testing"

	"syncer/persist/persisttest"
)

func TestMain(m *testing.M) { os.Exit(persisttest.Run(m)) }
