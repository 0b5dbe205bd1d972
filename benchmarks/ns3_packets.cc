// ns-3's side of packets.py: prints packets per second. Arguments: packets, burst, links, delay in nanoseconds.
//
// A chain of nodes, UDP from the first to the last, IPv4 forwarding between. Queues never overflow, links are fast enough
// to add nothing to the delay, and the queue disciplines that ns-3 installs by default are taken out: all in its favour.

#include <chrono>
#include <iostream>
#include <string>

#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/traffic-control-module.h"

using namespace ns3;

static int received = 0;

static void Drain(Ptr<Socket> socket) {
  while (socket->Recv()) {
    received++;
  }
}

int main(int, char **argv) {
  const int packets = std::stoi(argv[1]), burst = std::stoi(argv[2]), links = std::stoi(argv[3]);

  PointToPointHelper link;
  link.SetDeviceAttribute("DataRate", StringValue("1000Gbps"));
  link.SetChannelAttribute("Delay", StringValue(std::string(argv[4]) + "ns"));
  link.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue("100000p"));

  NodeContainer nodes;
  nodes.Create(links + 1);
  InternetStackHelper().Install(nodes);
  Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
  Ipv4InterfaceContainer last;
  for (int i = 0; i < links; i++) {
    NetDeviceContainer ends = link.Install(nodes.Get(i), nodes.Get(i + 1));
    last = addresses.Assign(ends);
    addresses.NewNetwork();
    TrafficControlHelper().Uninstall(ends);
  }
  Ipv4GlobalRoutingHelper::PopulateRoutingTables();

  const InetSocketAddress destination(last.GetAddress(1), 4001);
  Ptr<Socket> there = Socket::CreateSocket(nodes.Get(links), UdpSocketFactory::GetTypeId());
  there->Bind(InetSocketAddress(Ipv4Address::GetAny(), 4001));
  there->SetAttribute("RcvBufSize", UintegerValue(100000000));
  there->SetRecvCallback(MakeCallback(&Drain));
  Ptr<Socket> here = Socket::CreateSocket(nodes.Get(0), UdpSocketFactory::GetTypeId());
  here->Connect(destination);

  const auto started = std::chrono::steady_clock::now();
  for (int sent = 0; sent < packets; sent += burst) {
    for (int i = 0; i < burst; i++) {
      here->Send(Create<Packet>(1200));
    }
    Simulator::Run();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::cout << packets / took.count() << std::endl;
  Simulator::Destroy();
  return received == packets ? 0 : 1;
}
