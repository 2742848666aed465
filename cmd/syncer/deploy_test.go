package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"syncer/config"
)

// The parts of Kubernetes' objects that the manifests use. What is not here is a mistyped key, which Kubernetes would drop in
// silence, or one to be added with care.
type (
	meta struct {
		Name   string            `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	}
	Head struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
		Metadata   meta   `yaml:"metadata"`
	}
	selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	configMap struct {
		Head `yaml:",inline"`
		Data map[string]string `yaml:"data"`
	}
	deployment struct {
		Head `yaml:",inline"`
		Spec struct {
			Replicas int      `yaml:"replicas"`
			Selector selector `yaml:"selector"`
			Strategy struct {
				Type          string         `yaml:"type"`
				RollingUpdate map[string]int `yaml:"rollingUpdate"`
			} `yaml:"strategy"`
			Template podTemplate `yaml:"template"`
		} `yaml:"spec"`
	}
	job struct {
		Head `yaml:",inline"`
		Spec struct {
			BackoffLimit int         `yaml:"backoffLimit"`
			TTL          int         `yaml:"ttlSecondsAfterFinished"`
			Template     podTemplate `yaml:"template"`
		} `yaml:"spec"`
	}
	disruptionBudget struct {
		Head `yaml:",inline"`
		Spec struct {
			MinAvailable int      `yaml:"minAvailable"`
			Selector     selector `yaml:"selector"`
		} `yaml:"spec"`
	}
	podTemplate struct {
		Metadata meta    `yaml:"metadata"`
		Spec     podSpec `yaml:"spec"`
	}
	podSpec struct {
		RestartPolicy   string      `yaml:"restartPolicy"`
		ServiceLinks    *bool       `yaml:"enableServiceLinks"`
		Token           *bool       `yaml:"automountServiceAccountToken"`
		Grace           int         `yaml:"terminationGracePeriodSeconds"`
		SecurityContext podSecurity `yaml:"securityContext"`
		Containers      []container `yaml:"containers"`
		Volumes         []volume    `yaml:"volumes"`
	}
	podSecurity struct {
		RunAsNonRoot bool              `yaml:"runAsNonRoot"`
		RunAsUser    int               `yaml:"runAsUser"`
		RunAsGroup   int               `yaml:"runAsGroup"`
		FSGroup      int               `yaml:"fsGroup"`
		Seccomp      map[string]string `yaml:"seccompProfile"`
	}
	container struct {
		Name      string   `yaml:"name"`
		Image     string   `yaml:"image"`
		Args      []string `yaml:"args"`
		Ports     []port   `yaml:"ports"`
		Startup   probe    `yaml:"startupProbe"`
		Liveness  probe    `yaml:"livenessProbe"`
		Readiness probe    `yaml:"readinessProbe"`
		Resources struct {
			Requests map[string]string `yaml:"requests"`
			Limits   map[string]string `yaml:"limits"`
		} `yaml:"resources"`
		SecurityContext struct {
			Escalation *bool               `yaml:"allowPrivilegeEscalation"`
			ReadOnly   bool                `yaml:"readOnlyRootFilesystem"`
			Caps       map[string][]string `yaml:"capabilities"`
		} `yaml:"securityContext"`
		Mounts []mount `yaml:"volumeMounts"`
	}
	port struct {
		Name string `yaml:"name"`
		Port int    `yaml:"containerPort"`
	}
	probe struct {
		HTTP struct {
			Path string `yaml:"path"`
			Port string `yaml:"port"`
		} `yaml:"httpGet"`
		Period   int `yaml:"periodSeconds"`
		Timeout  int `yaml:"timeoutSeconds"`
		Failures int `yaml:"failureThreshold"`
	}
	mount struct {
		Name     string `yaml:"name"`
		Path     string `yaml:"mountPath"`
		ReadOnly bool   `yaml:"readOnly"`
	}
	volume struct {
		Name      string `yaml:"name"`
		ConfigMap struct {
			Name string `yaml:"name"`
		} `yaml:"configMap"`
		Secret struct {
			Name string `yaml:"secretName"`
			Mode int    `yaml:"defaultMode"`
		} `yaml:"secret"`
	}
)

// TestDeployKubernetes decodes the manifests strictly, and holds them to what the program needs.
func TestDeployKubernetes(t *testing.T) {
	t.Parallel()
	var kinds []string
	for _, file := range []string{"config.yaml", "migrate.yaml", "syncer.yaml"} {
		for _, doc := range documents(t, filepath.Join("../../deploy/kubernetes", file)) {
			var h Head
			if err := yaml.Unmarshal(doc, &h); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			kinds = append(kinds, h.Kind)
			checkManifest(t, file+" "+h.Kind, h.Kind, doc)
		}
	}
	if want := []string{"ConfigMap", "Job", "Deployment", "PodDisruptionBudget"}; !slices.Equal(kinds, want) {
		t.Errorf("the manifests are %v, want %v", kinds, want)
	}
}

// documents are those of a file, each as YAML.
func documents(t *testing.T, file string) [][]byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(content, []byte("\n---\n"))
}

func checkManifest(t *testing.T, name, kind string, doc []byte) {
	t.Helper()
	var pods *podTemplate
	var into any
	switch kind {
	case "ConfigMap":
		into = &configMap{}
	case "PodDisruptionBudget":
		into = &disruptionBudget{}
	case "Deployment":
		d := &deployment{}
		into, pods = d, &d.Spec.Template
	case "Job":
		j := &job{}
		into, pods = j, &j.Spec.Template
	default:
		t.Errorf("%s: nothing is known of it", name)
		return
	}
	if err := yaml.NewDecoder(bytes.NewReader(doc), yaml.Strict()).Decode(into); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("%s: %v", name, err)
		return
	}
	if c, ok := into.(*configMap); ok {
		noEnv := func(string) (string, bool) { return "", false }
		if _, err := config.Parse([]byte(c.Data["syncer.yaml"]), "syncer.yaml", noEnv); err != nil {
			t.Errorf("%s: its configuration: %v", name, err)
		}
	}
	if pods != nil {
		checkPods(t, name, pods.Spec)
	}
}

// checkPods holds pods to what a pod of syncer needs.
func checkPods(t *testing.T, name string, spec podSpec) {
	t.Helper()
	const mode = 0o440 // of secrets: more would be refused
	if spec.ServiceLinks == nil || *spec.ServiceLinks {
		t.Errorf("%s: variables of a Service named syncer would be taken for settings", name)
	}
	if s := spec.SecurityContext; !s.RunAsNonRoot || s.FSGroup != s.RunAsGroup {
		t.Errorf("%s: it can't read secrets that belong to its group: %+v", name, s)
	}
	for _, v := range spec.Volumes {
		if v.Secret.Name != "" && v.Secret.Mode != mode {
			t.Errorf("%s: the secrets have mode %o", name, v.Secret.Mode)
		}
	}
	for _, c := range spec.Containers {
		if c.Name != "syncer" {
			continue
		}
		if c.Liveness.HTTP.Path != "/healthz" || c.Readiness.HTTP.Path != "/readyz" || c.Ports[0].Name != c.Liveness.HTTP.Port {
			t.Errorf("%s: probes %+v, %+v, ports %+v", name, c.Liveness, c.Readiness, c.Ports)
		}
		if drain := config.Default().Worker.Drain.Std().Seconds(); float64(spec.Grace) <= drain {
			t.Errorf("%s: it is killed after %d s, and drains for %v", name, spec.Grace, drain)
		}
	}
}

// directives are those of systemd that the units use, by their sections.
var directives = map[string]string{
	"Unit": "Description Documentation Wants After",
	"Service": "Type User Group Environment ExecStart Restart RestartSec TimeoutStartSec TimeoutStopSec KillMode SuccessExitStatus " +
		"LimitCORE MemoryMax NoNewPrivileges ProtectSystem ProtectHome PrivateTmp PrivateDevices ProtectKernelTunables " +
		"ProtectKernelModules ProtectControlGroups RestrictAddressFamilies RestrictNamespaces LockPersonality " +
		"MemoryDenyWriteExecute SystemCallArchitectures CapabilityBoundingSet StateDirectory",
	"Timer":   "OnCalendar Persistent RandomizedDelaySec",
	"Install": "WantedBy",
}

// TestDeploySystemd reads the units strictly: systemd only warns of a mistyped directive.
func TestDeploySystemd(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../deploy/systemd/*")
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		section := ""
		for line := range strings.Lines(string(content)) {
			line = strings.TrimSpace(line)
			name, value, assigns := strings.Cut(line, "=")
			switch {
			case line == "" || line[0] == '#':
			case line[0] == '[':
				section = strings.Trim(line, "[]")
			case !assigns || !slices.Contains(strings.Fields(directives[section]), name):
				t.Errorf("%s: %q is no directive of [%s]", filepath.Base(file), line, section)
			case name == "ExecStart" && !strings.HasPrefix(value, "/usr/local/bin/syncer "):
				t.Errorf("%s: it starts %q", filepath.Base(file), value)
			}
		}
	}
}

// TestTheImageKnowsItsVersion sees to it that the build of the image gets every file that a commit has, and its history:
// what was missing would make the program say that it was built from changed files, or of no version at all.
func TestTheImageKnowsItsVersion(t *testing.T) {
	t.Parallel()
	ignored, err := os.ReadFile("../../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	list := exec.CommandContext(t.Context(), "git", "ls-files")
	list.Dir = "../.."
	files, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range strings.Fields(withoutComments(string(ignored))) {
		for _, file := range append(strings.Fields(string(files)), ".git") {
			for part := file; part != "."; part = path.Dir(part) {
				if match, err := path.Match(strings.TrimPrefix(pattern, "/"), part); match || err != nil {
					t.Errorf(".dockerignore leaves out %s by %s: %v", file, pattern, err)
				}
			}
		}
	}
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, needed := range []string{"ca-certificates git\n", "ARG VCS=true\n", "-buildvcs=${VCS}"} {
		if !strings.Contains(string(dockerfile), needed) {
			t.Errorf("the Dockerfile has no %q", needed)
		}
	}
}

func withoutComments(text string) (rest string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			rest += line
		}
	}
	return rest
}
