package vipps

import (
	"os"
	"testing"

	"syncer/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { os.Exit(sandboxtest.SideBySide(m)) }
