// An external scaler that says what it is told over HTTP.
//
//	external-scaler GRPC-ADDRESS HTTP-ADDRESS
//
// PUT /NAME with {"metrics": [{"name": "depth", "target": 10, "value": 35}], "active": true} sets what triggers with
// `name: NAME` in their metadata are answered, and tells it to those that listen. GET /NAME answers how many listen to StreamIsActive.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type metric struct {
	Name          string
	Target, Value float64
}

// What is said, and a channel that is closed when something else is.
type said struct {
	Metrics   []metric
	Active    bool
	changed   chan struct{}
	listeners int
}

type scaler struct {
	pb.UnimplementedExternalScalerServer
	mu    sync.Mutex
	names map[string]*said
}

func (s *scaler) get(name string) *said {
	if s.names[name] == nil {
		s.names[name] = &said{changed: make(chan struct{})}
	}
	return s.names[name]
}

// of is a copy of what is said to an object.
func (s *scaler) of(ref *pb.ScaledObjectRef) (said, error) {
	name := ref.GetScalerMetadata()["name"]
	if name == "" {
		return said{}, status.Error(codes.InvalidArgument, "the trigger's metadata have no name")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.get(name), nil
}

func specs(told said) *pb.GetMetricSpecResponse {
	answer := &pb.GetMetricSpecResponse{}
	for _, m := range told.Metrics {
		answer.MetricSpecs = append(answer.MetricSpecs, &pb.MetricSpec{MetricName: m.Name, TargetSizeFloat: m.Target})
	}
	return answer
}

func (s *scaler) IsActive(_ context.Context, ref *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	told, err := s.of(ref)
	return &pb.IsActiveResponse{Result: told.Active}, err
}

func (s *scaler) GetMetricSpec(_ context.Context, ref *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	told, err := s.of(ref)
	return specs(told), err
}

func (s *scaler) GetMetrics(_ context.Context, request *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	told, err := s.of(request.GetScaledObjectRef())
	if err != nil {
		return nil, err
	}
	for _, m := range told.Metrics {
		if m.Name == request.GetMetricName() {
			value := &pb.MetricValue{MetricName: m.Name, MetricValueFloat: m.Value}
			return &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{value}}, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "no metric %q", request.GetMetricName())
}

// follow calls say now and after each change, until whoever listens is gone.
func (s *scaler) follow(ctx context.Context, ref *pb.ScaledObjectRef, say func(said) error) error {
	for {
		told, err := s.of(ref)
		if err != nil {
			return err
		}
		if err := say(told); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-told.changed:
		}
	}
}

func (s *scaler) StreamIsActive(ref *pb.ScaledObjectRef, stream pb.ExternalScaler_StreamIsActiveServer) error {
	s.listening(ref, 1)
	defer s.listening(ref, -1)
	return s.follow(stream.Context(), ref, func(told said) error {
		return stream.Send(&pb.IsActiveResponse{Result: told.Active})
	})
}

func (s *scaler) listening(ref *pb.ScaledObjectRef, change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.get(ref.GetScalerMetadata()["name"]).listeners += change
}

// streamMetricSpec is upstream's newest method, which the published package does not have yet.
func streamMetricSpec(server any, stream grpc.ServerStream) error {
	ref := &pb.ScaledObjectRef{}
	if err := stream.RecvMsg(ref); err != nil {
		return err
	}
	return server.(*scaler).follow(stream.Context(), ref, func(told said) error {
		if len(told.Metrics) == 0 {
			return nil
		}
		return stream.SendMsg(specs(told))
	})
}

func (s *scaler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[1:]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.get(name)
	if r.Method == http.MethodGet {
		fmt.Fprintln(w, now.listeners)
		return
	}
	next := said{changed: make(chan struct{}), listeners: now.listeners}
	if err := json.NewDecoder(r.Body).Decode(&next); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.names[name] = &next
	close(now.changed)
}

func main() {
	s := &scaler{names: map[string]*said{}}
	description := pb.ExternalScaler_ServiceDesc
	description.Streams = append(append([]grpc.StreamDesc{}, description.Streams...),
		grpc.StreamDesc{StreamName: "StreamMetricSpec", Handler: streamMetricSpec, ServerStreams: true})
	server := grpc.NewServer()
	server.RegisterService(&description, s)
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.ListenAndServe(os.Args[2], s)) }()
	log.Fatal(server.Serve(listener))
}
