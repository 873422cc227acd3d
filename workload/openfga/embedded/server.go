// Package embedded runs an OpenFGA server inside the process, on a PostgreSQL
// database or in memory, for development and tests. It links all of OpenFGA,
// so the server that goes into production must not import it.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	httpmiddleware "github.com/openfga/openfga/pkg/middleware/http"
	"github.com/openfga/openfga/pkg/middleware/validator"
	"github.com/openfga/openfga/pkg/server"
	serverconfig "github.com/openfga/openfga/pkg/server/config"
	servererrors "github.com/openfga/openfga/pkg/server/errors"
	"github.com/openfga/openfga/pkg/storage"
	"github.com/openfga/openfga/pkg/storage/memory"
	"github.com/openfga/openfga/pkg/storage/migrate"
	"github.com/openfga/openfga/pkg/storage/postgres"
	"github.com/openfga/openfga/pkg/storage/sqlcommon"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"jimm/workload/openfga"
)

// Config says where the server keeps its tuples, and its limits.
type Config struct {
	// DSN is the postgres:// URL of a database that is OpenFGA's alone; its
	// schema is made and kept up to date. Empty means memory.
	DSN string
	// StoreName is the store that is used, and made if there is none; "jimm"
	// if it is empty.
	StoreName string
	// ListLimit and ListDeadline are the server's limits for lists; of objects
	// without limit, 10,000 users, and 30 s if they are zero.
	ListLimit    int
	ListDeadline time.Duration
}

// Server is a running OpenFGA server and the permissions in it.
type Server struct {
	*openfga.Permissions

	api     *server.Server
	grpc    *grpc.Server
	conn    *grpc.ClientConn
	http    *http.Server
	serving sync.WaitGroup
}

// Open starts a server and connects to it.
//
// The way to it is that of a server elsewhere, the HTTP API by OpenFGA's SDK,
// only over pipes in memory: so what is developed and tested against it goes
// through the code that runs in production.
func Open(ctx context.Context, config Config) (*Server, error) {
	if config.StoreName == "" {
		config.StoreName = "jimm"
	}
	objectsLimit := config.ListLimit
	if config.ListLimit == 0 {
		config.ListLimit, objectsLimit = 10_000, -1
	}
	if config.ListDeadline == 0 {
		config.ListDeadline = 30 * time.Second
	}
	datastore, err := open(config.DSN)
	if err != nil {
		return nil, err
	}
	s := &Server{}
	if err := s.start(datastore, config, max(objectsLimit, 0)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	pipe := listen()
	s.serving.Go(func() { _ = s.http.Serve(pipe) })
	s.Permissions, err = openfga.Connect(ctx, openfga.Config{
		URL:          "http://openfga.invalid",
		StoreName:    config.StoreName,
		ListLimit:    config.ListLimit,
		ObjectsLimit: objectsLimit,
		ListDeadline: config.ListDeadline,
		Timeout:      config.ListDeadline + 10*time.Second,
		HTTPClient: &http.Client{Transport: &http.Transport{
			DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return pipe.Dial(ctx) },
			MaxIdleConnsPerHost: 64,
		}},
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Handler returns the server's HTTP API, to be served on a socket. It asks for
// no key.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Close stops the server. What is asked of it meanwhile fails.
func (s *Server) Close() error {
	var errs []error
	if s.Permissions != nil {
		s.Permissions.Close()
	}
	if s.http != nil {
		errs = append(errs, s.http.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	s.grpc.Stop()
	s.serving.Wait()
	if s.api != nil {
		s.api.Close()
	}
	return errors.Join(errs...)
}

// migrating guards goose, OpenFGA's migration library, which keeps its
// settings in global variables.
var migrating sync.Mutex

func open(dsn string) (storage.OpenFGADatastore, error) {
	if dsn == "" {
		return memory.New(), nil
	}
	// Whatever is wrong with a DSN is not repeated: it may hold a password.
	if u, err := url.Parse(dsn); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("cannot open OpenFGA's database: the DSN is not a postgres:// URL")
	}
	migrating.Lock()
	defer migrating.Unlock()
	err := migrate.RunMigrations(migrate.MigrationConfig{
		Engine:      "postgres",
		URI:         dsn,
		Timeout:     10 * time.Second,
		PingTimeout: 2 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot migrate OpenFGA's database: %w", err)
	}
	datastore, err := postgres.New(dsn, sqlcommon.NewConfig())
	if err != nil {
		return nil, fmt.Errorf("cannot open OpenFGA's database: %w", err)
	}
	return datastore, nil
}

// start puts the three layers of OpenFGA's own binary together: its service,
// gRPC, and the gateway from HTTP to gRPC.
func (s *Server) start(datastore storage.OpenFGADatastore, config Config, objectsLimit int) (err error) {
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(serverconfig.DefaultMaxRPCMessageSizeInBytes),
		grpc.UnaryInterceptor(validator.UnaryServerInterceptor()),
		grpc.StreamInterceptor(validator.StreamServerInterceptor()),
	)
	options := []server.OpenFGAServiceV1Option{
		server.WithDatastore(datastore),
		server.WithListUsersMaxResults(uint32(config.ListLimit)),
		server.WithListUsersDeadline(config.ListDeadline),
		server.WithListObjectsMaxResults(uint32(objectsLimit)),
		server.WithListObjectsDeadline(config.ListDeadline),
		// OpenFGA's binary sets these two by itself. Without them a list of
		// 1000 objects takes ten times as long.
		server.WithListObjectsPipelineEnabled(true),
		server.WithExperimentals(serverconfig.ExperimentalPipelineListObjects),
	}
	if config.DSN != "" {
		options = append(options, server.WithContinuationTokenSerializer(sqlcommon.NewSQLContinuationTokenSerializer()))
	}
	s.api, err = server.NewServerWithOpts(options...)
	if err != nil {
		datastore.Close()
		return fmt.Errorf("cannot start OpenFGA: %w", err)
	}
	openfgav1.RegisterOpenFGAServiceServer(s.grpc, s.api)
	pipe := bufconn.Listen(64 * 1024)
	s.serving.Go(func() { _ = s.grpc.Serve(pipe) })
	s.conn, err = grpc.NewClient("passthrough:///openfga",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	)
	if err != nil {
		return fmt.Errorf("cannot start OpenFGA: %w", err)
	}
	mux := runtime.NewServeMux(
		runtime.WithForwardResponseOption(httpmiddleware.HTTPResponseModifier),
		runtime.WithErrorHandler(func(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
			httpmiddleware.CustomHTTPErrorHandler(ctx, w, r, encoded(err))
		}),
		runtime.WithStreamErrorHandler(func(_ context.Context, err error) *status.Status {
			return status.Convert(encoded(err))
		}),
		runtime.WithOutgoingHeaderMatcher(func(header string) (string, bool) { return header, true }),
	)
	if err := openfgav1.RegisterOpenFGAServiceHandler(context.Background(), mux, s.conn); err != nil {
		return fmt.Errorf("cannot start OpenFGA: %w", err)
	}
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return nil
}

func encoded(err error) *servererrors.EncodedError {
	return servererrors.NewEncodedError(servererrors.ConvertToEncodedErrorCode(status.Convert(err)), err.Error())
}
