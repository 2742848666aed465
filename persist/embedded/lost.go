//go:build linux || darwin || freebsd

package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// loadConnection reads connection.json. Where it is lost or cut, the error says how to get in all the same.
func loadConnection(dir string) (connection, error) {
	var c connection
	data, err := os.ReadFile(filepath.Join(dir, connectionName))
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err == nil && (c.User == "" || c.Password == "" || c.Database == "") {
		err = errors.New("a part of it is missing")
	}
	if err != nil {
		return c, fmt.Errorf("read how to connect to the embedded Postgres in %s: %w. %s", dir, err, wayIn(dir))
	}
	return c, nil
}

// wayIn says how a cluster gets another password. Its data is whole without connection.json.
func wayIn(dir string) string {
	programs := "the folder of its programs, as `syncer db fetch` prints it"
	if major, err := clusterMajor(dir); err == nil && major > 0 {
		programs = fmt.Sprintf("the folder of the programs of PostgreSQL %d, as `syncer db fetch --version %d` prints it", major, major)
	}
	who := "the user who runs syncer"
	if account, err := serverAccount(); err == nil && account.switched {
		who = "the user " + account.name
	}
	return fmt.Sprintf("The data is whole. Put the file back from a backup, or give the database another password: "+
		"stop it with `syncer db stop`; as %s type: echo \"ALTER ROLE syncer PASSWORD 'NEW'\" | BIN/postgres --single -D %s postgres "+
		"(BIN is %s); then write {\"User\":\"syncer\",\"Password\":\"NEW\",\"Database\":\"syncer\"} into %s, readable by its owner alone",
		who, filepath.Join(dir, dataName), programs, filepath.Join(dir, connectionName))
}
